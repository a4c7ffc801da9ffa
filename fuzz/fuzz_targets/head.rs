//! `web::fuzz::head`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| web::fuzz::head(input));
