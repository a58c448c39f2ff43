#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| net::identity::fuzz_token(data));
