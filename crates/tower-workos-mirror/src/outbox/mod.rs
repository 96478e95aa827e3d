//! Stores each change as a job of the queues that were registered for it.

#[cfg(feature = "outbox")]
mod queue;

#[cfg(feature = "outbox")]
use self::queue::store_in;
use crate::{change::Change, error::MirrorError, mirror::Shared, sql::conn::Conn};

/// Stores changes in these queues, in the transaction that has written them to the feed.
///
/// The names of the queues are in the database, so that each process that writes finds them, whether or not it has called
/// [`Mirror::outbox`](crate::Mirror::outbox). A queue is registered under the mirror's lock, which this transaction has.
pub(crate) async fn store(
    conn: &mut Conn<'_>,
    shared: &Shared,
    outboxes: &[String],
    changes: &[Change],
) -> Result<(), MirrorError> {
    for name in outboxes {
        store_in(conn, shared, name, changes).await?;
    }
    Ok(())
}

/// Without the feature, nothing can store the changes. They must not be skipped: the transaction is rolled back, and the
/// event is delivered again.
#[cfg(not(feature = "outbox"))]
async fn store_in(
    _: &mut Conn<'_>,
    _: &Shared,
    name: &str,
    _: &[Change],
) -> Result<(), MirrorError> {
    Err(disabled(name))
}

#[cfg(any(test, not(feature = "outbox")))]
fn disabled(name: &str) -> MirrorError {
    let hint = format!(
        "the outbox {name:?} is registered in the mirror's database, but this application can't store changes in it: enable \
         the feature `outbox` of tower-workos-mirror"
    );
    crate::error::ConfigError::new(hint).into()
}

#[cfg(test)]
mod tests {
    use super::disabled;
    use crate::error::MirrorErrorKind;

    #[test]
    fn the_hint_names_the_feature() {
        let error = disabled("sessions");
        assert_eq!(error.kind(), MirrorErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains("\"sessions\"") && text.contains("the feature `outbox`"), "{text}");
    }
}
