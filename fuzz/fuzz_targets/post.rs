//! `ingest::fuzz::post`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest::fuzz::post(input));
