#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| model::multipart::fuzz_media_type(data));
