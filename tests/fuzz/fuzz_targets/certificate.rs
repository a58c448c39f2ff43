#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(net::tls::Certificate::read(data)));
