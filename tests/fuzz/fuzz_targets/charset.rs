#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| model::charset::fuzz_charset(data));
