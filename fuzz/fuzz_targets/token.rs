//! `web::fuzz::token`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| web::fuzz::token(input));
