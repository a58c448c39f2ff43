#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| model::json::fuzz_json(data));
