//! Compares verification in pieces with verification as a whole, and with another HMAC implementation.
#![no_main]

use tower_workos_fuzz::verify_split::{Input, check};

libfuzzer_sys::fuzz_target!(|input: Input| check(&input));
