//! `delivery::fuzz::handshake`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| delivery::fuzz::handshake(input));
