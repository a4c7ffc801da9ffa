//! `words::fuzz::word_list`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| words::fuzz::word_list(input));
