//! Generates the events of simulated directories.

use std::collections::VecDeque;

use bytes::Bytes;
use tower_workos::Timestamp;
use ulid::Ulid;

use super::{
    body::Writer,
    plan::Plan,
    random::{Random, Share},
    record::{DirectoryRecord, GroupRecord, MembershipRecord, UserRecord},
    snapshot::Snapshot,
    world::{Directory, Group, User},
};

/// An event of a [`Life`].
#[derive(Clone)]
pub struct Event {
    sequence: u64,
    name: &'static str,
    id: Ulid,
    created_at: i64,
    body: Bytes,
}

impl Event {
    /// The event's number in its life, from 0.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The event's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The event's id, without `event_`.
    #[must_use]
    pub fn id(&self) -> Ulid {
        self.id
    }

    /// When the event happened.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        Timestamp::from_unix_millis_saturating(self.created_at)
    }

    /// The body, as WorkOS would sign it.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

impl From<&Event> for Bytes {
    fn from(event: &Event) -> Self {
        event.body.clone()
    }
}

/// Omits the body, because it is about people.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("sequence", &self.sequence)
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// An iterator over the events of a few directories, in the order in which they happen.
///
/// First, every directory is connected and synced: `dsync.activated`, then its groups, its users and their memberships.
/// After that, users are hired, leave (they are deleted, or deactivated and perhaps deleted later), return, change their
/// name, are promoted and change groups; groups are created, renamed and deleted. In every life of at least 50 events, at
/// least one directory is deleted and a new one is connected and synced.
///
/// The times are simulated as well. Each `created_at` is later than the one before it, and so is each `updated_at` of an
/// object.
///
/// A life stores only what exists at present: about 150 bytes for each user, however many events there were.
pub struct Life {
    pub(super) plan: Plan,
    pub(super) random: Random,
    pub(super) now: i64,
    pub(super) directories: Vec<Directory>,
    /// Unfinished first syncs.
    pub(super) syncs: Vec<Sync>,
    /// Steps that follow immediately from an earlier event.
    pub(super) next: VecDeque<Step>,
    /// The number of users in all directories.
    pub(super) users: usize,
    pub(super) companies: u32,
    pub(super) employees: u32,
    pub(super) serial: u64,
    pub(super) deleted_one: bool,
    pub(super) made: u64,
    /// Whether the caller sets the time, as in [`Life::next_at`].
    dated: bool,
    writer: Writer,
}

/// The remaining part of a directory's first sync.
pub(super) struct Sync {
    pub(super) directory: usize,
    pub(super) groups: u32,
    pub(super) users: u32,
}

/// A future event. The indexes stay valid, because steps are taken before any other change.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Join { directory: usize, user: usize, group: u64 },
}

impl Life {
    /// Starts a life.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let mut life = Self {
            plan,
            random: Random::new(plan.seed, "life"),
            now: plan.start,
            directories: Vec::new(),
            syncs: Vec::new(),
            next: VecDeque::new(),
            users: 0,
            companies: 0,
            employees: 1000,
            serial: 0,
            deleted_one: false,
            made: 0,
            dated: false,
            writer: Writer::default(),
        };
        for place in 0..plan.directories {
            life.plan_sync(place);
        }
        life
    }

    /// Returns the next event, dated `now`: its `created_at`, and the `updated_at` of what it changes. Returns `None` after
    /// the last event.
    ///
    /// It is the event that [`next`](Iterator::next) would return, except for its times and the times in the ids.
    ///
    /// The times of a life increase by at least one millisecond from event to event. If `now` is not later than the event
    /// before, this event is dated one millisecond after it, so it can lie in the future: wait until then before you
    /// deliver it.
    pub fn next_at(&mut self, now: Timestamp) -> Option<Event> {
        let now = now.as_unix_millis();
        self.now = if self.made == 0 { now } else { now.max(self.now.saturating_add(1)) };
        self.dated = true;
        let event = self.next();
        self.dated = false;
        event
    }

    /// Returns the state after the events so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for directory in &self.directories {
            let id = format!("directory_{}", directory.id);
            snapshot.directories.push(DirectoryRecord {
                organization_id: Some(format!("org_{}", directory.organization)),
                name: Some(directory.name()),
                directory_type: Some(directory.provider().to_owned()),
                state: Some("active".to_owned()),
                updated_at: time(directory.updated_at),
                id: id.clone(),
            });
            for group in &directory.groups {
                snapshot.groups.push(GroupRecord {
                    id: format!("directory_group_{}", group.id),
                    directory_id: Some(id.clone()),
                    idp_id: Some(idp_id("00g", group.id)),
                    name: Some(group.name().to_owned()),
                    updated_at: time(group.updated_at),
                });
            }
            for user in &directory.users {
                let user_id = format!("directory_user_{}", user.id);
                for group in user.groups.iter().filter_map(|&serial| directory.group(serial)) {
                    snapshot.memberships.push(MembershipRecord {
                        group_id: format!("directory_group_{}", group.id),
                        user_id: user_id.clone(),
                    });
                }
                let [first, last] = user.mailbox();
                let domain = format!("{}-{}.example", directory.company_slug(), directory.number);
                if user.active {
                    snapshot.access.push(user_id.clone());
                }
                snapshot.users.push(UserRecord {
                    id: user_id,
                    directory_id: Some(id.clone()),
                    idp_id: Some(idp_id("00u", user.id)),
                    email: Some(format!("{first}.{last}.{}@{domain}", user.number)),
                    first_name: Some(user.first_name().to_owned()),
                    last_name: Some(user.last_name().to_owned()),
                    name: Some(format!("{} {}", user.first_name(), user.last_name())),
                    state: Some(user.state().to_owned()),
                    role: Some(user.role().to_owned()),
                    job_title: Some(user.title().to_owned()),
                    department_name: Some(user.department().to_owned()),
                    updated_at: time(user.updated_at),
                });
            }
        }
        snapshot.sorted()
    }

    /// Creates an event whose `data` is written by `data`, and advances the clock.
    pub(super) fn event(
        &mut self,
        name: &'static str,
        data: impl FnOnce(&mut Writer, &Self),
    ) -> Event {
        let delay = 5 + self.random.below(60);
        let created_at =
            if self.dated { self.now } else { self.now.saturating_add_unsigned(delay) };
        let id = self.random.ulid(created_at);
        let mut writer = std::mem::take(&mut self.writer);
        let body = writer.event(id, name, created_at, |writer| data(writer, self));
        // A copy, so that a body that waits for a retry does not keep a larger buffer alive.
        let body = Bytes::copy_from_slice(body);
        self.writer = writer;
        self.now = created_at;
        let sequence = self.made;
        self.made += 1;
        Event { sequence, name, id, created_at, body }
    }

    /// Advances the clock by 1 to `millis` milliseconds, unless the caller sets the time.
    pub(super) fn wait(&mut self, millis: u64) {
        let pause = 1 + self.random.below(millis);
        if !self.dated {
            self.now = self.now.saturating_add_unsigned(pause);
        }
    }

    fn step(&mut self) -> Event {
        if let Some(step) = self.next.pop_front() {
            self.wait(400);
            if let Some(event) = self.follow(step) {
                return event;
            }
        }
        if !self.syncs.is_empty() {
            self.wait(40);
            if let Some(event) = self.sync() {
                return event;
            }
        }
        self.wait(60_000);
        self.change()
    }

    fn follow(&mut self, step: Step) -> Option<Event> {
        let Step::Join { directory, user, group } = step;
        self.join(directory, user, group)
    }

    /// Returns the next event of the first syncs, or `None` if they are finished.
    fn sync(&mut self) -> Option<Event> {
        loop {
            let place = self.random.index(self.syncs.len())?;
            let sync = self.syncs.get_mut(place)?;
            let directory = sync.directory;
            if directory >= self.directories.len() {
                return Some(self.connect());
            }
            if sync.groups > 0 {
                sync.groups -= 1;
                return self.create_group(directory);
            }
            if sync.users > 0 {
                sync.users -= 1;
                return self.hire(directory);
            }
            self.syncs.swap_remove(place);
        }
    }

    /// Connects a directory.
    fn connect(&mut self) -> Event {
        self.companies += 1;
        let directory = Directory::new(&mut self.random, self.now, self.companies);
        self.directories.push(directory);
        self.event("dsync.activated", |writer, life| {
            if let Some(directory) = life.directories.last() {
                writer.directory_activated(directory);
            }
        })
    }

    /// Plans the first sync of the directory that will have this index.
    pub(super) fn plan_sync(&mut self, place: u32) {
        let share = |all: u32, directories: u32| {
            all / directories + u32::from(place % directories < all % directories)
        };
        let directories = self.plan.directories.max(1);
        self.syncs.push(Sync {
            directory: usize::try_from(place).unwrap_or(usize::MAX),
            groups: share(self.plan.groups, directories),
            users: share(self.plan.users, directories),
        });
    }

    pub(super) fn create_group(&mut self, place: usize) -> Option<Event> {
        self.serial += 1;
        let group = Group::new(&mut self.random, self.now, self.serial);
        self.directories.get_mut(place)?.groups.push(group);
        Some(self.event("dsync.group.created", |writer, life| {
            let directory = life.directories.get(place);
            if let Some((directory, group)) = directory.and_then(|it| Some((it, it.groups.last()?)))
            {
                writer.group(directory, group);
            }
        }))
    }

    /// Adds a user, who joins up to three groups.
    pub(super) fn hire(&mut self, place: usize) -> Option<Event> {
        self.employees = self.employees.wrapping_add(1);
        let user = User::new(&mut self.random, self.now, self.employees);
        let directory = self.directories.get_mut(place)?;
        directory.users.push(user);
        self.users += 1;
        let user = directory.users.len() - 1;
        let mut joined: Vec<u64> = Vec::new();
        for share in [90, 50, 20] {
            if self.random.chance(Share::per_million(share * 10_000))
                && let Some(group) = self.random.index(directory.groups.len())
                && let Some(group) = directory.groups.get(group).map(|group| group.serial)
                && !joined.contains(&group)
            {
                joined.push(group);
                self.next.push_back(Step::Join { directory: place, user, group });
            }
        }
        Some(self.event("dsync.user.created", |writer, life| {
            let directory = life.directories.get(place);
            if let Some((directory, user)) = directory.and_then(|it| Some((it, it.users.last()?))) {
                writer.user(directory, user);
            }
        }))
    }
}

impl Iterator for Life {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        (self.made < self.plan.events).then(|| self.step())
    }
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life")
            .field("plan", &self.plan)
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}

fn time(millis: i64) -> Option<Timestamp> {
    Some(Timestamp::from_unix_millis_saturating(millis))
}

fn idp_id(prefix: &str, id: Ulid) -> String {
    let text = id.to_string().to_lowercase();
    format!("{prefix}{}", text.get(9..).unwrap_or_default())
}
