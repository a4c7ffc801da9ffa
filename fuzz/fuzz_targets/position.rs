//! `chat::fuzz::position`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chat::fuzz::position(input));
