//! Bodies in pieces, against the whole at once and another HMAC.
#![no_main]

use tower_workos_fuzz::verify_split::{Input, check};

libfuzzer_sys::fuzz_target!(|input: Input| check(&input));
