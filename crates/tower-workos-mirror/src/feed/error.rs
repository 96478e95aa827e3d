//! Errors of the feed.

use std::{error::Error, fmt};

use crate::error::MirrorError;

/// Why no changes can be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum FeedError {
    /// The reader's position is beyond the end of the feed: the database was probably restored from a backup, or it is
    /// another database. The changes that follow would not be those that the reader expects. Read the views again,
    /// then start from [`Mirror::feed_range`](crate::Mirror::feed_range).
    #[non_exhaustive]
    Ahead {
        /// The reader's position.
        after: i64,
        /// The greatest number that the feed ever had, as far as the database knows.
        last: i64,
    },
    /// The database failed. Try again.
    Mirror(MirrorError),
    /// Changes that the reader has not read were purged, because they were older than
    /// [`retention`](crate::MirrorBuilder::retention). Read the views again, then start from
    /// [`Mirror::feed_range`](crate::Mirror::feed_range); for a consumer, see [`Consumer`](crate::Consumer#recovery).
    #[non_exhaustive]
    Purged {
        /// The reader's position.
        after: i64,
        /// The number of the last purged change.
        purged: i64,
    },
}

impl FeedError {
    /// Whether reading again from the same position can succeed.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Mirror(_))
    }
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ahead { after, last } => {
                write!(f, "the position {after} is beyond the end of the feed, {last}")
            }
            Self::Mirror(error) => error.fmt(f),
            Self::Purged { after, purged } => {
                write!(f, "the changes from {after} to {purged} were purged before they were read")
            }
        }
    }
}

impl Error for FeedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Mirror(error) => error.source(),
            Self::Ahead { .. } | Self::Purged { .. } => None,
        }
    }
}

impl From<MirrorError> for FeedError {
    fn from(error: MirrorError) -> Self {
        Self::Mirror(error)
    }
}

impl From<sqlx::Error> for FeedError {
    fn from(error: sqlx::Error) -> Self {
        Self::Mirror(error.into())
    }
}
