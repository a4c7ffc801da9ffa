//! `delivery::fuzz::shown_line`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| delivery::fuzz::shown_line(input));
