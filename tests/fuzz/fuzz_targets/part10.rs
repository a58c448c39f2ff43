#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| model::part10::fuzz_part10(data));
