#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ul::fuzz_answer(data));
