#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dimse::service::mechanisms::fuzz_mechanisms(data));
