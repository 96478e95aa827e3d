//! Wakes the readers of the feed.

use tokio::sync::watch;

/// The value that readers watch. Each change to it wakes them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signal {
    /// Whether commits of other processes also wake the readers.
    pub(crate) hears_others: bool,
}

/// The readers of one mirror, and what wakes them.
#[derive(Debug)]
pub(crate) struct Wakeup {
    pub(crate) signal: watch::Sender<Signal>,
    #[cfg(feature = "postgres")]
    pub(crate) listener: std::sync::Mutex<std::sync::Weak<crate::feed::listen::Listener>>,
}

impl Default for Wakeup {
    fn default() -> Self {
        Self {
            signal: watch::channel(Signal::default()).0,
            #[cfg(feature = "postgres")]
            listener: std::sync::Mutex::default(),
        }
    }
}

impl Wakeup {
    pub(crate) fn wake(&self) {
        self.signal.send_modify(|_| {});
    }
}
