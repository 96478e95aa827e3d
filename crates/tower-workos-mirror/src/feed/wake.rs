//! Wakes the readers of the feed.

use tokio::sync::watch;

/// What readers wait for. Each change of it wakes them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signal {
    /// Whether the commits of other processes wake the readers, too.
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
