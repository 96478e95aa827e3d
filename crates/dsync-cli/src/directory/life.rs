//! A life: directories are connected and synced, people come, change and go, and directories are deleted.

use std::collections::VecDeque;

use bytes::Bytes;
use tower_workos::Timestamp;

use super::{
    body::Writer,
    plan::Plan,
    random::{Random, Share, Ulid},
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
    body: Bytes,
}

impl Event {
    /// Its place in the life, from 0.
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

    /// The body, as WorkOS would sign it.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Without the body.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("sequence", &self.sequence)
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The life of a few directories, event by event, in the order in which it happens.
///
/// First every directory is connected and synced: `dsync.activated`, its groups, its users, who is in which group. Then
/// people are hired, leave (deleted at once, or deactivated and perhaps deleted later), return, marry, are promoted and
/// change groups; groups come, are renamed and go. In each life that is long enough at least one directory is deleted, and
/// another one connected and synced.
///
/// The time that passes is made up as well. Every event's `created_at` and every object's `updated_at` is later than the
/// one before.
///
/// It holds what exists at the moment and nothing of the past: about 150 bytes a user, however long the life.
pub struct Life {
    pub(super) plan: Plan,
    pub(super) random: Random,
    pub(super) now: i64,
    pub(super) directories: Vec<Directory>,
    /// First syncs under way.
    pub(super) syncs: Vec<Sync>,
    /// What follows at once from the event before.
    pub(super) next: VecDeque<Step>,
    /// All users there are.
    pub(super) users: usize,
    pub(super) companies: u32,
    pub(super) employees: u32,
    pub(super) serial: u64,
    pub(super) deleted_one: bool,
    pub(super) made: u64,
    writer: Writer,
}

/// What is left of a directory's first sync.
pub(super) struct Sync {
    pub(super) directory: usize,
    pub(super) groups: u32,
    pub(super) users: u32,
}

/// One event to come. Places are good until the next [`Step`] that is not a membership's.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Join { directory: usize, user: usize, group: u64 },
}

impl Life {
    /// Begins.
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
            writer: Writer::default(),
        };
        for place in 0..plan.directories {
            life.plan_sync(place);
        }
        life
    }

    /// What there is now, after the events so far.
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
        snapshot.finish()
    }

    /// Makes an event out of `data`; time passes.
    pub(super) fn event(
        &mut self,
        name: &'static str,
        data: impl FnOnce(&mut Writer, &Self),
    ) -> Event {
        let created_at = self.now.saturating_add_unsigned(5 + self.random.below(60));
        let id = self.random.ulid(created_at);
        let mut writer = std::mem::take(&mut self.writer);
        let body = writer.event(id, name, created_at, |writer| data(writer, self));
        // A copy of its own: a body that waits for its retry must not keep a buffer of many alive.
        let body = Bytes::copy_from_slice(body);
        self.writer = writer;
        self.now = created_at;
        let sequence = self.made;
        self.made += 1;
        Event { sequence, name, id, body }
    }

    /// Lets up to this many milliseconds pass, and one at least.
    pub(super) fn wait(&mut self, millis: u64) {
        self.now = self.now.saturating_add_unsigned(1 + self.random.below(millis));
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

    /// The next event of a first sync; `None` once there is nothing more to sync.
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

    /// A directory is connected; its sync follows.
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

    /// Plans the sync of the directory that is connected this many places after the next.
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

    /// Somebody comes, and joins up to three groups.
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
