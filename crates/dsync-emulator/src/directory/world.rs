//! The objects of a simulated world. They are small, because there may be a million users.

use ulid::Ulid;

use super::{
    names::{
        COMPANIES, DEPARTMENTS, FIRST_NAMES, GROUPS, LAST_NAMES, PROVIDERS, ROLES, TITLES, pick,
    },
    random::Random,
};

/// A customer's directory with its users and groups.
#[derive(Clone)]
pub(super) struct Directory {
    pub(super) id: Ulid,
    pub(super) organization: Ulid,
    pub(super) domain: Ulid,
    pub(super) external_key: u64,
    /// The company's number among all companies of the life.
    pub(super) number: u32,
    company: u16,
    provider: u16,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) users: Vec<User>,
    /// Sorted by serial number.
    pub(super) groups: Vec<Group>,
}

impl Directory {
    pub(super) fn new(random: &mut Random, now: i64, number: u32) -> Self {
        Self {
            id: random.ulid(now - 140_000),
            organization: random.ulid(now - 900_000),
            domain: random.ulid(now - 890_000),
            external_key: random.below(u64::MAX),
            number,
            company: place(random, COMPANIES.len()),
            provider: place(random, PROVIDERS.len()),
            created_at: now - 140_000,
            updated_at: now,
            users: Vec::new(),
            groups: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{} ({})", pick(&COMPANIES, self.company).0, pick(&PROVIDERS, self.provider).1)
    }

    pub(super) fn company(&self) -> &'static str {
        pick(&COMPANIES, self.company).0
    }

    pub(super) fn company_slug(&self) -> &'static str {
        pick(&COMPANIES, self.company).1
    }

    pub(super) fn provider(&self) -> &'static str {
        pick(&PROVIDERS, self.provider).0
    }

    /// The group with this serial number, unless it was deleted.
    pub(super) fn group(&self, serial: u64) -> Option<&Group> {
        let place = self.groups.binary_search_by_key(&serial, |group| group.serial).ok()?;
        self.groups.get(place)
    }
}

#[derive(Clone)]
pub(super) struct User {
    pub(super) id: Ulid,
    pub(super) number: u32,
    first_name: u16,
    pub(super) last_name: u16,
    pub(super) title: u16,
    pub(super) department: u16,
    pub(super) role: u16,
    pub(super) active: bool,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    /// The serial numbers of the groups; some of these groups may have been deleted.
    pub(super) groups: Vec<u64>,
}

impl User {
    pub(super) fn new(random: &mut Random, now: i64, number: u32) -> Self {
        Self {
            id: random.ulid(now),
            number,
            first_name: place(random, FIRST_NAMES.len()),
            last_name: place(random, LAST_NAMES.len()),
            title: place(random, TITLES.len()),
            department: place(random, DEPARTMENTS.len()),
            role: 0,
            active: true,
            created_at: now,
            updated_at: now,
            groups: Vec::new(),
        }
    }

    pub(super) fn first_name(&self) -> &'static str {
        pick(&FIRST_NAMES, self.first_name).0
    }

    pub(super) fn last_name(&self) -> &'static str {
        pick(&LAST_NAMES, self.last_name).0
    }

    /// The first and last name in the e-mail address.
    pub(super) fn mailbox(&self) -> [&'static str; 2] {
        [pick(&FIRST_NAMES, self.first_name).1, pick(&LAST_NAMES, self.last_name).1]
    }

    pub(super) fn title(&self) -> &'static str {
        pick(&TITLES, self.title)
    }

    pub(super) fn department(&self) -> &'static str {
        pick(&DEPARTMENTS, self.department)
    }

    pub(super) fn role(&self) -> &'static str {
        pick(&ROLES, self.role)
    }

    pub(super) fn state(&self) -> &'static str {
        if self.active { "active" } else { "inactive" }
    }
}

#[derive(Clone)]
pub(super) struct Group {
    pub(super) id: Ulid,
    pub(super) serial: u64,
    pub(super) name: u16,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
}

impl Group {
    pub(super) fn new(random: &mut Random, now: i64, serial: u64) -> Self {
        Self {
            id: random.ulid(now),
            serial,
            name: place(random, GROUPS.len()),
            created_at: now,
            updated_at: now,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        pick(&GROUPS, self.name)
    }
}

/// A random index into a table of this length.
fn place(random: &mut Random, length: usize) -> u16 {
    random.index(length).and_then(|place| u16::try_from(place).ok()).unwrap_or(0)
}

/// A random index other than `place` into a table of this length.
pub(super) fn other_place(random: &mut Random, length: usize, place: u16) -> u16 {
    let step = random.index(length.saturating_sub(1)).unwrap_or(0) + 1;
    u16::try_from((usize::from(place) + step) % length.max(1)).unwrap_or(0)
}
