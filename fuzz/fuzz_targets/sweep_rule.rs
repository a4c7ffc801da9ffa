//! `ingest::fuzz::sweep_rule`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest::fuzz::sweep_rule(input));
