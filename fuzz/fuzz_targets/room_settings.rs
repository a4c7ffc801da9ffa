//! `chat::fuzz::room_settings`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chat::fuzz::room_settings(input));
