//! The faults of an emulator.

use std::time::Duration;

use crate::directory::Share;

/// The faults of an emulator. By default, there are none.
///
/// Faults with a [`Share`] happen at random, but the same seed and the same requests, one after the other, give the same
/// faults. Pass the faults to [`EmulatorBuilder::faults`](crate::EmulatorBuilder::faults), or at any time with
/// [`Emulator::set_faults`](crate::Emulator::set_faults).
///
/// A lagging replica is [`EmulatorBuilder::replica_lag`](crate::EmulatorBuilder::replica_lag). Objects that come and go while
/// a list is read need no fault: record events between two pages.
///
/// ```
/// use std::time::Duration;
/// use dsync_emulator::{Faults, RateLimits};
///
/// let faults = Faults::new()
///     .rate_limits(RateLimits::DOCUMENTED)
///     .errors("5%".parse()?)
///     .slow("1%".parse()?, Duration::from_secs(2));
/// # Ok::<(), dsync_emulator::directory::ShareError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Faults {
    pub(crate) rate_limits: Option<RateLimits>,
    pub(crate) throttle: Share,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) errors: Share,
    pub(crate) slow: Share,
    pub(crate) delay: Duration,
    pub(crate) broken: Share,
    pub(crate) short_pages: Share,
    pub(crate) visible_users: Share,
    pub(crate) repeat_cursors: Share,
    pub(crate) odd_items: Share,
    pub(crate) null_fields: Share,
    pub(crate) unknown_values: Share,
    pub(crate) missing_ids: Share,
    pub(crate) failing_page: Option<(ListKind, u32)>,
}

impl Faults {
    /// Creates settings without faults.
    pub fn new() -> Self {
        Self {
            rate_limits: None,
            throttle: Share::NONE,
            retry_after: None,
            errors: Share::NONE,
            slow: Share::NONE,
            delay: Duration::ZERO,
            broken: Share::NONE,
            short_pages: Share::NONE,
            visible_users: Share::ALL,
            repeat_cursors: Share::NONE,
            odd_items: Share::NONE,
            null_fields: Share::NONE,
            unknown_values: Share::NONE,
            missing_ids: Share::NONE,
            failing_page: None,
        }
    }

    /// Requests above these rates get 429. `Retry-After` is the number of seconds until the next request is accepted.
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.rate_limits = Some(limits);
        self
    }

    /// The share of requests that get 429 with a `Retry-After` of 1, whatever the rate.
    pub fn throttle(mut self, share: Share) -> Self {
        self.throttle = share;
        self
    }

    /// Replaces every `Retry-After`, in whole seconds.
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// The share of requests that get 500, 502, 503 or 504.
    pub fn errors(mut self, share: Share) -> Self {
        self.errors = share;
        self
    }

    /// The share of responses that take this much longer, in real time, whatever the emulator's clock.
    pub fn slow(mut self, share: Share, delay: Duration) -> Self {
        (self.slow, self.delay) = (share, delay);
        self
    }

    /// The share of responses that are broken: the body ends in the middle, the body is not JSON, or the connection is
    /// closed without a response.
    pub fn broken(mut self, share: Share) -> Self {
        self.broken = share;
        self
    }

    /// The share of pages that have fewer items than requested, although more follow.
    pub fn short_pages(mut self, share: Share) -> Self {
        self.short_pages = share;
        self
    }

    /// The share of users whom the provider shows. The others are missing from lists, and requests for them get 404. The same
    /// users are shown in each request.
    pub fn visible_users(mut self, share: Share) -> Self {
        self.visible_users = share;
        self
    }

    /// The share of pages after the first whose `after` is the cursor of the request, so that the page follows itself.
    pub fn repeat_cursors(mut self, share: Share) -> Self {
        self.repeat_cursors = share;
        self
    }

    /// The share of items with an unexpected shape in fields that matter to few applications: `organization_id`,
    /// `external_key`, `raw_attributes` or `groups` is missing or `null`, another has an unexpected type, or there is an
    /// unknown field. Nothing that a [`Snapshot`](crate::directory::Snapshot) contains is changed.
    pub fn odd_items(mut self, share: Share) -> Self {
        self.odd_items = share;
        self
    }

    /// The share of items with a field that is `null`: `idp_id`, `name`, `email`, `first_name`, `last_name`, `role`,
    /// `custom_attributes` or `updated_at`; `data` for an event.
    pub fn null_fields(mut self, share: Share) -> Self {
        self.null_fields = share;
        self
    }

    /// The share of directories and users with an unknown `state`, and of directories with an unknown `type` as well.
    pub fn unknown_values(mut self, share: Share) -> Self {
        self.unknown_values = share;
        self
    }

    /// The share of items without an id, or with one that is `null`, empty or a number.
    pub fn missing_ids(mut self, share: Share) -> Self {
        self.missing_ids = share;
        self
    }

    /// The page with this number, from 1, of every list of this kind gets 500. The numbers follow the cursors that the
    /// emulator returned since these faults were set.
    pub fn failing_page(mut self, list: ListKind, number: u32) -> Self {
        self.failing_page = Some((list, number));
        self
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

/// The rates above which requests get 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimits {
    /// Requests of `/directory_users` a second for each directory.
    pub users_per_directory_second: u32,
    /// Requests a minute in total.
    pub per_minute: u32,
}

impl RateLimits {
    /// What WorkOS documents: 4 requests a second for each directory, and 6000 a minute.
    pub const DOCUMENTED: Self = Self { users_per_directory_second: 4, per_minute: 6000 };

    /// Creates limits with these rates.
    #[must_use]
    pub fn new(users_per_directory_second: u32, per_minute: u32) -> Self {
        Self { users_per_directory_second, per_minute }
    }
}

/// A kind of list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListKind {
    /// `/directories`.
    Directories,
    /// `/events`.
    Events,
    /// `/directory_groups`.
    Groups,
    /// `/directory_users`.
    Users,
}
