#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| model::query::fuzz_identifier(data));
