//! Decides the faults of each request.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use http::StatusCode;

use super::{answer::List, odd::spoil, params::Params, route::Route};
use crate::{
    directory::{Random, Share},
    faults::{Faults, ListKind},
    requests::{SECOND, Window},
};

/// The faults, and what they need to know of earlier requests.
pub(crate) struct Mischief {
    faults: Faults,
    seed: u64,
    random: Random,
    /// Accepted requests.
    minute: Window,
    /// Accepted requests for users, by directory.
    directories: HashMap<String, Window>,
    /// The numbers of the pages that cursors lead to.
    pages: HashMap<String, u32>,
}

/// What happens to a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) delay: Option<Duration>,
    /// An error instead of the response.
    pub(super) error: Option<StatusCode>,
    /// In seconds.
    pub(super) retry_after: Option<u64>,
    pub(super) broken: Option<Broken>,
    /// How many items a page has, in millionths of the limit.
    pub(super) page_share: Option<u64>,
    pub(super) repeats_cursor: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The connection is closed without a response.
    Closed,
    NotJson,
    Truncated,
}

impl Mischief {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            seed,
            random: Random::new(seed, "faults"),
            minute: Window::new(60 * SECOND),
            directories: HashMap::new(),
            pages: HashMap::new(),
        }
    }

    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.pages.clear();
    }

    /// Decides the fate of a request with the right key. `now` is in nanoseconds.
    pub(super) fn fate(
        &mut self,
        route: Option<Route<'_>>,
        params: &Params<'_>,
        directory: Option<&str>,
        now: i64,
    ) -> Fate {
        // Every number is drawn for every request, so that one fault does not change the effect of another.
        let random = &mut self.random;
        let faults = &self.faults;
        let is_slow = random.chance(faults.slow);
        let is_throttled = random.chance(faults.throttle);
        let is_error = random.chance(faults.errors);
        let is_broken = random.chance(faults.broken);
        let is_short = random.chance(faults.short_pages);
        let repeats_cursor = random.chance(faults.repeat_cursors);
        let [error, broken] = [random.below(4), random.below(3)];
        let page_share = random.below(1_000_000);

        let mut fate = Fate {
            delay: is_slow.then_some(faults.delay),
            broken: is_broken.then_some(match broken {
                0 => Broken::Closed,
                1 => Broken::NotJson,
                _ => Broken::Truncated,
            }),
            page_share: is_short.then_some(page_share),
            repeats_cursor,
            ..Fate::default()
        };
        let page_fails = self.page_fails(route, params);
        let pause = self.over_the_limit(route, directory, now).or(is_throttled.then_some(1));
        if let Some(pause) = pause {
            fate.error = Some(StatusCode::TOO_MANY_REQUESTS);
            fate.retry_after = Some(self.faults.retry_after.map_or(pause, |it| it.as_secs()));
        } else if is_error || page_fails {
            fate.error = Some(match error {
                0 if is_error => StatusCode::BAD_GATEWAY,
                1 if is_error => StatusCode::SERVICE_UNAVAILABLE,
                2 if is_error => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            });
        }
        fate
    }

    /// Accepts a request, or returns the number of seconds after which one will be accepted.
    fn over_the_limit(
        &mut self,
        route: Option<Route<'_>>,
        directory: Option<&str>,
        now: i64,
    ) -> Option<u64> {
        let limits = self.faults.rate_limits?;
        let directory = directory.filter(|_| route == Some(Route::Users));
        let mut of_directory = directory.map(|id| {
            let window = self.directories.entry(id.to_owned());
            window.or_insert_with(|| Window::new(SECOND))
        });
        let mut free_at = None;
        if self.minute.count(now) >= u64::from(limits.per_minute) {
            free_at = free_at.max(self.minute.free_at());
        }
        if let Some(window) = &mut of_directory
            && window.count(now) >= u64::from(limits.users_per_directory_second)
        {
            free_at = free_at.max(window.free_at());
        }
        if let Some(free_at) = free_at {
            let seconds = free_at.saturating_sub(now).saturating_add(SECOND - 1).div_euclid(SECOND);
            return Some(u64::try_from(seconds).unwrap_or(1).max(1));
        }
        self.minute.add(now);
        if let Some(window) = of_directory {
            window.add(now);
        }
        None
    }

    fn page_fails(&self, route: Option<Route<'_>>, params: &Params<'_>) -> bool {
        let Some((kind, number)) = self.faults.failing_page else { return false };
        route.and_then(list_kind) == Some(kind) && self.page_number(params) == number
    }

    fn page_number(&self, params: &Params<'_>) -> u32 {
        let number = params.get("after").and_then(|after| self.pages.get(&page_key(params, after)));
        number.copied().unwrap_or(1)
    }

    /// Changes a page, and remembers its cursor.
    pub(super) fn change(&mut self, list: &mut List, fate: &Fate, params: &Params<'_>) {
        for item in &mut list.items {
            spoil(item, &self.faults, &mut self.random);
        }
        if fate.repeats_cursor
            && let Some(after) = params.get("after")
        {
            list.after = Some(after.into());
        }
        if let Some(after) = list.after.as_deref().filter(|_| self.faults.failing_page.is_some()) {
            let number = self.page_number(params).saturating_add(1);
            self.pages.insert(page_key(params, after), number);
        }
    }

    /// Changes a single object.
    pub(super) fn change_one(&mut self, item: &mut Vec<u8>) {
        spoil(item, &self.faults, &mut self.random);
    }

    /// Returns whether the provider shows a user.
    pub(super) fn is_shown(&self) -> impl Fn(&str) -> bool + use<> {
        let (seed, share) = (self.seed, self.faults.visible_users);
        move |id| {
            share == Share::ALL || {
                let mut hasher = DefaultHasher::new();
                (seed, id).hash(&mut hasher);
                Random::new(hasher.finish(), "visible").chance(share)
            }
        }
    }
}

/// The list and the place in it.
fn page_key(params: &Params<'_>, after: &str) -> String {
    let part = |name| params.get(name).unwrap_or_default();
    [part("directory"), part("group"), part("user"), after].join(" ")
}

fn list_kind(route: Route<'_>) -> Option<ListKind> {
    match route {
        Route::Directories => Some(ListKind::Directories),
        Route::Events => Some(ListKind::Events),
        Route::Groups => Some(ListKind::Groups),
        Route::Users => Some(ListKind::Users),
        Route::Directory(_) | Route::Group(_) | Route::User(_) => None,
    }
}
