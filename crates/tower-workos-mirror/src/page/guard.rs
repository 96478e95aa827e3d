//! The guard that guards nothing.

use tower_layer::Layer;

/// Returns a guard for [`Mirror::page`](crate::Mirror::page) that lets everybody in.
///
/// **The page then shows all users of all customers to everybody who can reach the server.** Use it only for a server that
/// listens on a loopback address, or behind a proxy that authenticates each request.
pub fn unprotected() -> Unprotected {
    Unprotected(())
}

/// A layer that changes nothing: see [`unprotected`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Unprotected(());

impl<S> Layer<S> for Unprotected {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}
