//! The simulated world: what exists, what existed a moment ago, and the events.

mod change;
mod events;
mod item;
mod store;
mod truth;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use bytes::Bytes;
use serde_json::value::RawValue;

use self::change::{Change, Event};
pub(crate) use self::{
    events::{EventLog, LoggedEvent},
    item::{Id, Item, Kind, Place, json, listed_state, millis},
    store::{Contents, Group, Store, User},
};
use crate::{directory::Random, error::WorldError};

/// The world. The times are Unix milliseconds.
pub(crate) struct World {
    /// The place of each object that was ever seen, so that a deleted one still works as a cursor.
    places: HashMap<Id, i64>,
    /// The organization of each directory.
    organizations: HashMap<Id, Id>,
    primary: Replica,
    /// Lags behind.
    replica: Option<Replica>,
    lag: i64,
    events: EventLog,
    retention: i64,
    changes: u64,
    random: Random,
}

/// A store, and the changes that it has not seen.
#[derive(Clone, Default)]
struct Replica {
    store: Store,
    /// By time, then number.
    pending: BTreeMap<(i64, u64), Change>,
}

impl Replica {
    /// Applies the changes up to this time.
    fn catch_up(&mut self, now: i64) {
        while let Some(first) = self.pending.first_entry().filter(|first| first.key().0 <= now) {
            self.store.apply(&first.remove());
        }
    }
}

impl World {
    pub(crate) fn new(seed: u64, retention: i64) -> Self {
        Self {
            places: HashMap::new(),
            organizations: HashMap::new(),
            primary: Replica::default(),
            replica: None,
            lag: 0,
            events: EventLog::default(),
            retention,
            changes: 0,
            random: Random::new(seed, "emulator"),
        }
    }

    /// Sets by how much the replica lags behind. It never goes back in time.
    pub(crate) fn set_lag(&mut self, lag: i64, now: i64) {
        self.advance(now);
        self.lag = lag;
        if lag == 0 {
            self.replica = None;
        } else if self.replica.is_none() {
            self.replica = Some(self.primary.clone());
        }
    }

    /// Records an event. `is_listed`: whether the Events API shows it.
    pub(crate) fn record(
        &mut self,
        body: Bytes,
        now: i64,
        is_listed: bool,
    ) -> Result<(), WorldError> {
        let organizations = &self.organizations;
        let mut event = Event::read(&body, now, |id| organizations.get(id).cloned())?;
        if self.events.contains(&event.id) {
            return Ok(());
        }
        if let Some(change) = event.change.take() {
            self.change(change, event.happened_at);
        }
        if is_listed {
            let Event { id, name, happened_at, organization, has_object, .. } = event;
            self.events.insert(
                id,
                happened_at,
                LoggedEvent { name, organization, body, has_object },
            );
        }
        self.advance(now);
        Ok(())
    }

    /// Removes an event from the Events API.
    pub(crate) fn forget_event(&mut self, id: &str) -> Result<(), WorldError> {
        if self.events.remove(id) { Ok(()) } else { Err(WorldError::Unknown) }
    }

    /// Changes members of an object, without an event.
    pub(crate) fn set(
        &mut self,
        id: &str,
        members: &[(&str, &RawValue)],
        now: i64,
    ) -> Result<(), WorldError> {
        let item = self.item(id, now)?.with(members);
        self.change(Change::Item(Arc::new(item)), now);
        Ok(())
    }

    /// Deletes an object, without an event.
    pub(crate) fn delete(&mut self, id: &str, now: i64) -> Result<(), WorldError> {
        let id = Arc::clone(&self.item(id, now)?.id);
        self.change(Change::Gone(id), now);
        Ok(())
    }

    /// Adds a user to a group or removes it, without an event.
    pub(crate) fn set_member(
        &mut self,
        user: &str,
        group: &str,
        is_member: bool,
        now: i64,
    ) -> Result<(), WorldError> {
        let (user, group) = (self.item(user, now)?, self.item(group, now)?);
        if (user.kind, group.kind) != (Kind::User, Kind::Group) {
            return Err(WorldError::Unknown);
        }
        let change = match is_member {
            true => Change::Added { user, group },
            false => Change::Removed { user, group },
        };
        self.change(change, now);
        Ok(())
    }

    /// Advances the world to this time.
    pub(crate) fn advance(&mut self, now: i64) {
        self.primary.catch_up(now);
        if let Some(replica) = &mut self.replica {
            replica.catch_up(now.saturating_sub(self.lag));
        }
        self.events.forget(now.saturating_sub(self.retention));
    }

    /// The world as it is. Call [`advance`](Self::advance) first.
    pub(crate) fn store(&self) -> &Store {
        &self.primary.store
    }

    /// What a request reads: the world as it is, or, if there is a replica, perhaps as it was a moment ago. Call
    /// [`advance`](Self::advance) first.
    pub(crate) fn any_store(&mut self) -> &Store {
        match &self.replica {
            Some(replica) if self.random.below(2) == 0 => &replica.store,
            _ => &self.primary.store,
        }
    }

    /// The place of an object that exists or existed.
    pub(crate) fn place(&self, id: &str) -> Option<Place> {
        self.places.get_key_value(id).map(|(id, at)| (*at, Arc::clone(id)))
    }

    pub(crate) fn events(&self) -> &EventLog {
        &self.events
    }

    fn item(&mut self, id: &str, now: i64) -> Result<Arc<Item>, WorldError> {
        self.advance(now);
        self.primary.store.item(id).cloned().ok_or(WorldError::Unknown)
    }

    fn change(&mut self, mut change: Change, at: i64) {
        match &mut change {
            Change::Added { user, group } | Change::Removed { user, group } => {
                self.know(user);
                self.know(group);
            }
            Change::Gone(_) => {}
            Change::Item(item) => self.know(item),
        }
        self.changes += 1;
        if let Some(replica) = &mut self.replica {
            replica.pending.insert((at, self.changes), change.clone());
        }
        self.primary.pending.insert((at, self.changes), change);
    }

    /// An object keeps its first place.
    fn know(&mut self, item: &mut Arc<Item>) {
        let known = *self.places.entry(Arc::clone(&item.id)).or_insert(item.created_at);
        if known != item.created_at {
            *item = Arc::new(Item { created_at: known, ..Item::clone(item) });
        }
        if item.kind == Kind::Directory
            && let Some(organization) = item.text("organization_id")
        {
            self.organizations.insert(Arc::clone(&item.id), organization.into());
        }
    }
}

/// Shows counts only.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("changes", &self.changes)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}
