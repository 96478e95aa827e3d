//! Requests through the whole layer, against a model of it.
#![no_main]

use tower_workos_fuzz::service_body::{Input, check};

libfuzzer_sys::fuzz_target!(|input: Input| check(&input));
