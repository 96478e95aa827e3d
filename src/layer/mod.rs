//! The middleware.

mod body;
mod future;
#[expect(clippy::module_inception, reason = "one file a tower role, as in tower-http")]
mod layer;
mod response;
mod service;

pub use self::{
    body::{ResponseBody, VerifiedBody},
    future::ResponseFuture,
    layer::DirectorySyncLayer,
    service::DirectorySync,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
