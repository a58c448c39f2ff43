#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| model::scan::fuzz_scan(data));
