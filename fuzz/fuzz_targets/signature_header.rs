//! Compares the parsing of header values with a model.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tower_workos_fuzz::signature_header::check(data));
