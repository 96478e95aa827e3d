//! The checks of the fuzz targets, as functions, so that seeds and regressions also run under `cargo test`.
//!
//! The models follow the protocol's rules, favour simplicity over speed, and share no code with the library.

pub mod event_json;
pub mod json;
pub mod model;
mod moment;
pub mod mutate;
mod rules;
pub mod service_body;
pub mod signature_header;
mod typed;
pub mod verify_split;

#[cfg(test)]
mod replay;
