//! Checks that the committed gRPC code is what `proto/` generates. To update it:
//! `UPDATE_GENERATED=1 cargo test --all-features --test generated`.
#![cfg(feature = "tonic")]

use std::{env, fs, path::Path};

#[test]
fn grpc_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    fs::create_dir_all(&out).unwrap();
    // Uses protox instead of protoc, which may not be installed.
    let descriptors =
        protox::compile(["tower_workos/v1/directory_events.proto"], [root.join("proto")]).unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        .out_dir(&out)
        .compile_fds(descriptors)
        .unwrap();
    let generated = fs::read_to_string(out.join("tower_workos.v1.rs")).unwrap();

    let committed = root.join("src/grpc/generated.rs");
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&committed, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(&committed).unwrap() == generated,
        "src/grpc/generated.rs is not what proto/ generates; renew it with UPDATE_GENERATED=1"
    );
}
