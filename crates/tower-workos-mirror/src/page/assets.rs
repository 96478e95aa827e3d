//! The style sheet and the script.

use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    routing::get,
};
use sha2::{Digest, Sha256};

/// A file, under a name that changes with its contents.
pub(super) struct Asset {
    pub(super) name: String,
    contents: &'static str,
    content_type: &'static str,
}

impl Asset {
    pub(super) fn style() -> Self {
        let contents = include_str!("view/style.css");
        Self::new("style", "css", contents, "text/css; charset=utf-8")
    }

    pub(super) fn script() -> Self {
        let contents = include_str!("view/script.js");
        Self::new("script", "js", contents, "text/javascript; charset=utf-8")
    }

    fn new(
        name: &str,
        extension: &str,
        contents: &'static str,
        content_type: &'static str,
    ) -> Self {
        let hash = Sha256::digest(contents);
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{name}-{hash}.{extension}"), contents, content_type }
    }

    /// Adds the file to a router.
    pub(super) fn route<S: Clone + Send + Sync + 'static>(&self, router: Router<S>) -> Router<S> {
        let headers = [
            (CONTENT_TYPE, self.content_type),
            (CACHE_CONTROL, "private, max-age=31536000, immutable"),
        ];
        let contents = self.contents;
        router.route(&format!("/{}", self.name), get(async move || (headers, contents)))
    }
}
