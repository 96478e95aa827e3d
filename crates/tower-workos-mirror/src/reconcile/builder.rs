//! The settings of a [`Reconciler`].

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{ApiClient, Mirror, ReconcileProgress, Reconciler, read::ENVIRONMENT};

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) environment: String,
    pub(crate) margin: Duration,
    pub(crate) max_pages: usize,
    pub(crate) max_duration: Duration,
    pub(crate) allow_mass_removal: bool,
    pub(crate) allow_new_environment: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            environment: ENVIRONMENT.to_owned(),
            margin: Duration::from_secs(60),
            max_pages: 100_000,
            max_duration: Duration::from_secs(6 * 60 * 60),
            allow_mass_removal: false,
            allow_new_environment: false,
        }
    }
}

/// Builds a [`Reconciler`] with settings other than the defaults.
#[derive(Clone, Debug)]
#[must_use]
pub struct ReconcilerBuilder {
    mirror: Mirror,
    api: ApiClient,
    settings: Settings,
}

impl ReconcilerBuilder {
    pub(super) fn new(mirror: Mirror, api: ApiClient) -> Self {
        Self { mirror, api, settings: Settings::default() }
    }

    /// The name of the WorkOS environment that the API key belongs to. Set it only if several environments share these tables.
    /// It is better to give each environment tables of its own, with another [`prefix`](crate::MirrorBuilder::prefix).
    /// Default: `default`.
    ///
    /// A run touches only the directories of its own environment. A directory that no list has contained yet can belong to
    /// any of them, so it is not removed while a name is set.
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.settings.environment = name.into();
        self
    }

    /// How old a response of the API can be. A list counts as this much older than the header `Date` of its run's first
    /// response, so that events that the API did not show yet win. Default: 60 s.
    ///
    /// If the API showed an even older state, a user who was created in between would disappear until the next run.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.settings.margin = margin;
        self
    }

    /// How many pages a list may have. Default: 100 000, which is ten million objects.
    pub fn max_pages(mut self, pages: usize) -> Self {
        self.settings.max_pages = pages.max(1);
        self
    }

    /// How long a run may take. Default: six hours.
    pub fn max_duration(mut self, duration: Duration) -> Self {
        self.settings.max_duration = duration;
        self
    }

    /// Allows a run to remove more than 20 and more than a quarter (or 50 000 or more) of a directory's users, groups or
    /// memberships, and more than one directory (at most 100). Default: false, because a provider that shows only a part of
    /// its users looks the same. Read the report of the last run, then allow it for one run.
    pub fn allow_mass_removal(mut self, allow: bool) -> Self {
        self.settings.allow_mass_removal = allow;
        self
    }

    /// Allows a run if the API key sees none of the mirror's directories. Default: false, because the key of another
    /// environment looks the same. Its users would be added to your application.
    pub fn allow_new_environment(mut self, allow: bool) -> Self {
        self.settings.allow_new_environment = allow;
        self
    }

    /// Creates the reconciler.
    #[must_use]
    pub fn build(self) -> Reconciler {
        Reconciler {
            mirror: self.mirror,
            api: self.api,
            settings: self.settings,
            progress: Arc::new(watch::Sender::new(ReconcileProgress::default())),
        }
    }
}
