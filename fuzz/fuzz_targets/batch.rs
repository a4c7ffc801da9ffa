//! `nats::fuzz::batch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nats::fuzz::batch(input));
