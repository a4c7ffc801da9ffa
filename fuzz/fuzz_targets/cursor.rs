//! `archiver::fuzz::cursor`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| archiver::fuzz::cursor(input));
