//! `delivery::fuzz::client_frame`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| delivery::fuzz::client_frame(input));
