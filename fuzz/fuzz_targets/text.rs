//! `words::fuzz::text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| words::fuzz::text(input));
