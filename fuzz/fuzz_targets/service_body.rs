//! Compares the responses of the whole layer with a model.
#![no_main]

use tower_workos_fuzz::service_body::{Input, check};

libfuzzer_sys::fuzz_target!(|input: Input| check(&input));
