#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dimse::fuzz_assembler(data));
