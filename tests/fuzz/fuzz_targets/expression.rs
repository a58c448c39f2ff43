#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| rules::fuzz_expression(data));
