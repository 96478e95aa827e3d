//! The guard that guards nothing.

use tower_layer::Layer;

/// Returns a guard for [`Mirror::page`](crate::Mirror::page) that lets everybody in.
///
/// **The page then shows all users of all customers to everybody who can reach the server.** Use it only behind
/// a proxy that authenticates each request.
///
/// A loopback address alone is no protection against DNS rebinding: a web site that the operator visits can change the address of
/// its own name to 127.0.0.1, and then read the page with the operator's browser. A server on a loopback address must also reject
/// requests whose `Host` is another name, as the example `app` does. That check is useless behind a proxy or a tunnel that rewrites
/// `Host`.
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
