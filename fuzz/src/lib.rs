//! What the fuzz targets check, as functions, so that seeds and regressions also run under plain `cargo test`.
//!
//! The models here are written from the protocol's rules, slow and plain, and share no code with the library.

pub mod event_json;
pub mod json;
pub mod model;
pub mod mutate;
pub mod service_body;
pub mod signature_header;
pub mod verify_split;

#[cfg(test)]
mod replay;
