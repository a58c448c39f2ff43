#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| pixels::fuzz_fragments(data));
