//! Runs every seed and every regression through its target's check.

use std::{fs, path::Path};

use arbitrary::{Arbitrary, Unstructured};

use crate::{event_json, service_body, signature_header, verify_split};

/// Runs all inputs of a target. Fails if there are fewer than `at_least`.
fn replay(target: &str, at_least: usize, check: impl Fn(&[u8])) {
    let mut run = 0;
    for kind in ["seeds", "regressions"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target);
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            eprintln!("{}", path.display());
            check(&fs::read(path).unwrap());
            run += 1;
        }
    }
    assert!(run >= at_least, "{run} inputs of {target}");
}

/// Creates the structured input from bytes as libFuzzer does, and checks it.
fn arbitrary<T: for<'a> Arbitrary<'a>>(bytes: &[u8], check: impl Fn(&T)) {
    if let Ok(input) = T::arbitrary_take_rest(Unstructured::new(bytes)) {
        check(&input);
    }
}

#[test]
fn signature_header() {
    replay("signature_header", 12, signature_header::check);
}

#[test]
fn verify_split() {
    replay("verify_split", 48, |bytes| arbitrary(bytes, verify_split::check));
}

#[test]
fn event_json() {
    replay("event_json", 44, event_json::check);
}

#[test]
fn service_body() {
    replay("service_body", 72, |bytes| arbitrary(bytes, service_body::check));
}
