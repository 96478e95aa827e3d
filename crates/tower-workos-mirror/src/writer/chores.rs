//! The upkeep between batches.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    change::{Change, ChangeKind},
    mirror::Shared,
    upkeep::{Upkeep, bite},
    writer::{deadline, within},
};

/// How often the writer looks for something to do.
const INTERVAL: Duration = Duration::from_secs(600);
/// While deliveries are waiting, the upkeep may delay them this often.
const BUSY: Duration = Duration::from_secs(1);

/// Decides when the next part of the upkeep is due. None runs while no deliveries arrive, so an idle mirror costs nothing.
#[derive(Default)]
pub(super) struct Chores {
    last: Option<Instant>,
    /// Whether the last part left something to do.
    more: bool,
}

impl Chores {
    /// Called after each commit.
    pub(super) fn committed(&mut self, changes: &[Change]) {
        self.more |= changes.iter().any(|change| change.kind == ChangeKind::DirectoryDeleted);
    }

    pub(super) fn is_due(&self, busy: bool) -> bool {
        let after = match (busy, self.more) {
            (true, true) => BUSY,
            (false, true) => Duration::ZERO,
            (_, false) => INTERVAL,
        };
        // The first delivery must not wait for the upkeep.
        self.last.map_or(!busy, |last| last.elapsed() >= after)
    }

    /// Does a small part. A failure only delays the rest.
    pub(super) async fn perform(&mut self, shared: &Shared) {
        (self.last, self.more) = (Some(Instant::now()), false);
        let mut done = Upkeep::default();
        let work = within(deadline(shared.settings.timeout), bite(shared, &mut done));
        self.more = match work.await {
            Ok(more) => more,
            Err(error) => {
                let error = error.without_payload();
                tracing::warn!(target: "tower_workos_mirror::writer", %error, "the upkeep failed");
                false
            }
        };
        self.last = Some(Instant::now());
    }
}
