#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| model::commitment::fuzz_commitment(data));
