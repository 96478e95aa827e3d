//! The directories of an environment: those that the API lists, and those that it lacks.

use std::{
    collections::{BTreeMap, HashSet},
    sync::atomic::Ordering,
};

use crate::{
    api::{
        client::ApiClient,
        page::{Item, Pages},
    },
    read::ENVIRONMENT,
    reconcile::{
        Settings,
        error::ReconcileError,
        report::{DirectoryOutcome, DirectoryReport, DriftAction},
        run::{Run, report},
    },
    rules::{batch::Batch, document::ObjectKind, listed, object::Object},
    text::micros,
};

/// The directories that the API listed.
pub(super) struct Listed {
    pub(super) items: Vec<Item>,
    pub(super) unreadable: usize,
    pub(super) fence: i64,
    /// The API's clock when the run began.
    pub(super) date: i64,
}

/// A directory that exists according to the tables.
pub(super) struct Known {
    pub(super) environment: Option<String>,
    /// The latest time at which it certainly existed.
    pub(super) evidence_at: Option<i64>,
    /// When its users and groups were last compared.
    pub(super) compared_at: Option<i64>,
}

impl Known {
    /// Whether no other environment is known to have it.
    pub(super) fn is_of(&self, environment: &str) -> bool {
        self.environment.as_deref().is_none_or(|it| it == environment)
    }
}

/// The maximum number of absent directories that a run requests, or removes.
const MOST: usize = 100;

impl Run {
    /// Directories that exist according to the tables, but were not listed. `true` means that an earlier list of this
    /// environment contained the directory.
    pub(super) async fn absent_directories(
        &self,
        absent: Vec<(String, bool)>,
        sees_ours: bool,
        is_incomplete: bool,
        known: &BTreeMap<String, Known>,
    ) -> Result<Vec<DirectoryReport>, ReconcileError> {
        // If several environments share the tables, a directory that was never listed can belong to any of them.
        let environment = self.settings.environment.as_str();
        let is_other = |it: &Known| it.environment.as_deref().is_some_and(|it| it != environment);
        let is_shared = environment != ENVIRONMENT || known.values().any(is_other);
        let mut reports = Vec::new();
        let (mut gone, mut unanswered) = (Vec::new(), 0);
        // The breaker trips if more than one is absent, so a few are enough for the report.
        let (absent, unasked) = absent.split_at(absent.len().min(MOST));
        for (directory, _) in unasked {
            let reason = "more than 100 directories are absent, and a run removes at most 100";
            reports.push(report(directory, DirectoryOutcome::Breaker, Some(reason.to_owned())));
        }
        for (directory, was_listed) in absent.iter().cloned() {
            let found = match self.api.directory(&directory).await {
                Ok(found) => found,
                Err(error) => {
                    unanswered += 1;
                    let reason = Some(error.to_string());
                    reports.push(report(&directory, DirectoryOutcome::Failed, reason));
                    continue;
                }
            };
            self.confirmations.fetch_sub(1, Ordering::Relaxed);
            if let Some(item) = found.item {
                self.merge_directory(&item).await?;
                let reason = "the list of directories lacks it, although it exists";
                reports.push(report(
                    &directory,
                    DirectoryOutcome::Incomplete,
                    Some(reason.to_owned()),
                ));
                continue;
            }
            if is_shared && !was_listed {
                let reason = "it may belong to another environment";
                reports.push(report(
                    &directory,
                    DirectoryOutcome::Environment,
                    Some(reason.to_owned()),
                ));
                continue;
            }
            gone.push(directory);
        }
        // Those that the API did not answer for may be absent as well.
        let several =
            gone.len() + unanswered + unasked.len() > 1 && !self.settings.allow_mass_removal;
        let withheld = if is_incomplete {
            Some((DirectoryOutcome::Incomplete, "an item in the list of directories has no id"))
        } else if self.is_first && !self.was_run {
            Some((
                DirectoryOutcome::FirstRun,
                "the directory is absent, but the first run removes nothing: run again",
            ))
        } else if several || !(sees_ours || self.settings.allow_mass_removal) {
            Some((
                DirectoryOutcome::Breaker,
                "several directories, or all of them, are absent: if that is right, run once with allow_mass_removal",
            ))
        } else {
            None
        };
        for directory in gone {
            let mut object = Object::new(directory.clone());
            object.absent_at = Some(self.fence);
            let mut batch = Batch::default();
            batch.object(ObjectKind::Directory, object);
            reports.push(match withheld {
                None => {
                    self.merge(batch, &self.subject()).await?;
                    report(&directory, DirectoryOutcome::Complete, None)
                }
                Some((outcome, reason)) => {
                    self.preview(batch, DriftAction::Withheld).await?;
                    report(&directory, outcome, Some(reason.to_owned()))
                }
            });
        }
        Ok(reports)
    }
}

pub(super) async fn list_directories(
    api: &ApiClient,
    settings: &Settings,
) -> Result<Listed, ReconcileError> {
    let mut listed = Listed { items: Vec::new(), unreadable: 0, fence: 0, date: 0 };
    let mut pages = Pages::new(settings.max_pages);
    let mut after = None;
    let mut is_first = true;
    let mut seen = HashSet::new();
    loop {
        let page = api.directories(after.as_deref()).await?;
        if std::mem::take(&mut is_first) {
            let date = page.date.ok_or_else(ReconcileError::no_date)?;
            listed.date = micros(date);
            listed.fence = listed::fence(date, settings.margin);
        }
        // A list that changes while it is read can contain an item twice.
        listed.items.extend(page.items.into_iter().filter(|item| seen.insert(item.id.clone())));
        listed.unreadable += page.unreadable;
        after = pages.advance(page.after)?;
        if after.is_none() {
            return Ok(listed);
        }
    }
}
