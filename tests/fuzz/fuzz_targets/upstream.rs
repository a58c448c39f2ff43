#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| net::fuzz_upstream(data));
