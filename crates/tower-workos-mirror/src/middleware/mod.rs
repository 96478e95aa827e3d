//! The mirror as a layer of the application's own stack.

mod future;
mod layer;
mod service;

use std::{ops::Deref, sync::Arc};

pub use self::{future::MirrorFuture, layer::MirrorLayer, service::MirrorService};
use crate::change::Change;

/// What an event changed, in the extensions of a request behind a [`MirrorLayer`]. It is empty if the event is late, stale or
/// repeated, or was kept as a dead letter.
///
/// The changes were committed. If the response is lost, WorkOS sends the event again, and the second delivery has no
/// changes. So use them only for logs and metrics, and use the change feed for effects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedChanges(pub(crate) Arc<[Change]>);

impl Deref for AppliedChanges {
    type Target = [Change];

    fn deref(&self) -> &[Change] {
        &self.0
    }
}
