//! `delivery::fuzz::socket_bytes`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| delivery::fuzz::socket_bytes(input));
