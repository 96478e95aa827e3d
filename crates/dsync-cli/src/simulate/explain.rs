//! Explains a difference by the deliveries that led to it.

use std::collections::HashMap;

use dsync_cli::directory::{Difference, Section};
use tower_workos::{DirectoryEvent, EventData, Timestamp};

use super::{check::Expected, log::Reply};

/// The number of deliveries that are printed for each difference.
const SHOWN: usize = 6;
/// The number of those before the decisive one, if there are others after it.
const BEFORE: usize = 2;

/// Returns, for each difference, lines about the deliveries that led to it.
///
/// `simulate` does not store the events while it sends them. Instead, the life is generated again, and only the events about
/// these differences are kept.
pub(super) fn explain(expected: &Expected<'_>, differences: &[&Difference]) -> Vec<Vec<String>> {
    let mut stories: Vec<_> = differences.iter().map(|it| Story::of(it)).collect();
    for (sequence, body) in (expected.events)() {
        // The bodies of a `Life` are always valid.
        if let Ok(parsed) = DirectoryEvent::parse(body) {
            for story in &mut stories {
                story.take(sequence, &parsed);
            }
        }
    }
    // An event may be part of several stories.
    let mut concerned: HashMap<u64, Vec<usize>> = HashMap::new();
    for (place, story) in stories.iter().enumerate() {
        for event in &story.events {
            concerned.entry(event.sequence).or_default().push(place);
        }
    }
    for (number, sequence, reply) in expected.log.attempts() {
        for &place in concerned.get(&sequence).into_iter().flatten() {
            if let Some(story) = stories.get_mut(place) {
                story.attempts.push(Attempt { number, sequence, reply });
            }
        }
    }
    stories.iter().map(|story| story.lines(expected.is_all)).collect()
}

/// Everything that happened to one object.
struct Story {
    section: Section,
    user: Option<String>,
    group: Option<String>,
    directory: Option<String>,
    /// In the order in which they happened.
    events: Vec<Event>,
    /// In the order in which they were sent.
    attempts: Vec<Attempt>,
}

struct Event {
    sequence: u64,
    name: String,
    id: String,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    /// The state of a user.
    state: Option<String>,
    /// Whether it deletes the object.
    is_end: bool,
}

impl Event {
    fn description(&self) -> String {
        let mut line = format!("{} {}", self.name, self.id);
        for (name, time) in [("created_at", self.created_at), ("updated_at", self.updated_at)] {
            if let Some(time) = time {
                line.push_str(&format!(" {name} {time}"));
            }
        }
        if let Some(state) = &self.state {
            line.push_str(&format!(" state {state}"));
        }
        line
    }
}

struct Attempt {
    number: usize,
    sequence: u64,
    reply: Reply,
}

impl Story {
    fn of(difference: &Difference) -> Self {
        let (section, key) = match difference {
            Difference::Field { section, key, .. }
            | Difference::Missing { section, key }
            | Difference::Unexpected { section, key } => (*section, key.as_str()),
            _ => (Section::Users, ""),
        };
        let key = || Some(key.to_owned());
        let mut story = Self {
            section,
            user: None,
            group: None,
            directory: None,
            events: Vec::new(),
            attempts: Vec::new(),
        };
        match section {
            Section::Directories => story.directory = key(),
            Section::Groups => story.group = key(),
            Section::Memberships => {
                let key = key().unwrap_or_default();
                let (user, group) = key.split_once(" in ").unwrap_or_default();
                (story.user, story.group) = (Some(user.to_owned()), Some(group.to_owned()));
            }
            _ => story.user = key(),
        }
        story
    }

    /// Keeps the event if it is about this object.
    fn take(&mut self, sequence: u64, event: &DirectoryEvent) {
        let is = |known: &Option<String>, id: &str| known.as_deref() == Some(id);
        let in_membership = self.section == Section::Memberships;
        let (related, updated_at, is_end) = match event.data() {
            EventData::DirectoryActivated(directory) => {
                let related = self.section == Section::Directories
                    && is(&self.directory, directory.id.as_str());
                (related, directory.updated_at, false)
            }
            EventData::DirectoryDeleted(directory) => {
                (is(&self.directory, directory.id.as_str()), None, true)
            }
            EventData::UserCreated(user) => {
                (is(&self.user, user.id.as_str()) && !in_membership, user.updated_at, false)
            }
            EventData::UserUpdated(change) => {
                let user = &change.user;
                (is(&self.user, user.id.as_str()) && !in_membership, user.updated_at, false)
            }
            EventData::UserDeleted(user) => (is(&self.user, user.id.as_str()), None, true),
            EventData::GroupCreated(group) => {
                (is(&self.group, group.id.as_str()) && !in_membership, group.updated_at, false)
            }
            EventData::GroupUpdated(change) => {
                let group = &change.group;
                (is(&self.group, group.id.as_str()) && !in_membership, group.updated_at, false)
            }
            EventData::GroupDeleted(group) => (is(&self.group, group.id.as_str()), None, true),
            EventData::GroupUserAdded(membership) | EventData::GroupUserRemoved(membership) => {
                let user = is(&self.user, membership.user.id.as_str());
                let group = is(&self.group, membership.group.id.as_str());
                match self.section {
                    Section::Memberships => (user && group, None, false),
                    Section::Groups => (group, membership.group.updated_at, false),
                    _ => (user, membership.user.updated_at, false),
                }
            }
            _ => return,
        };
        if !related {
            return;
        }
        if let Some(directory) = event.directory_id() {
            self.directory.get_or_insert_with(|| directory.to_string());
        }
        self.events.push(Event {
            sequence,
            name: event.name().to_owned(),
            id: event.id().to_string(),
            created_at: event.created_at(),
            updated_at,
            state: user_state(event.data()),
            is_end,
        });
    }

    fn is_acknowledged(&self, sequence: u64) -> bool {
        self.attempts.iter().any(|it| it.sequence == sequence && it.reply.is_success())
    }

    /// Returns the event that decides the expected state: a deletion, or otherwise the latest version. `is_all`: whether
    /// the state contains the events that were not acknowledged as well.
    fn decisive(&self, is_all: bool) -> Option<&Event> {
        let is_known = |event: &&Event| is_all || self.is_acknowledged(event.sequence);
        let known = || self.events.iter().filter(is_known);
        let latest = || {
            // If several events have the same `updated_at`, the first one decides: in a life, they have the same version.
            known().rev().max_by_key(|event| event.updated_at.or(event.created_at))
        };
        known().find(|event| event.is_end).or_else(latest)
    }

    /// Whether the events contain the object, but none of them is evidence that it exists.
    fn has_only_removals(&self, is_all: bool) -> bool {
        let is_known = |event: &&Event| is_all || self.is_acknowledged(event.sequence);
        let mut known = self.events.iter().filter(is_known);
        self.section != Section::Memberships
            && known.all(|event| event.name == "dsync.group.user_removed")
    }

    fn lines(&self, is_all: bool) -> Vec<String> {
        let Some(decisive) = self.decisive(is_all) else {
            let text = match (self.events.as_slice(), self.attempts.as_slice()) {
                ([], _) => "there is no event about it: was the application empty before the run?",
                (_, []) => "none of the events about it were sent (--drop)",
                _ => "none of the deliveries about it were acknowledged",
            };
            return vec![text.to_owned()];
        };
        if self.has_only_removals(is_all) {
            let text =
                "only removals from groups were acknowledged, which create no user and no group";
            return vec![text.to_owned()];
        }
        // Membership events contain versions of a user and a group too, but there are many, and they rarely decide.
        let counts = |event: &&Event| {
            event.sequence == decisive.sequence
                || self.section == Section::Memberships
                || !event.name.contains("group.user_")
        };
        let events: HashMap<_, _> =
            self.events.iter().filter(counts).map(|event| (event.sequence, event)).collect();
        let attempts: Vec<_> =
            self.attempts.iter().filter(|it| events.contains_key(&it.sequence)).collect();
        let decided = attempts
            .iter()
            .position(|it| it.sequence == decisive.sequence && it.reply.is_success());
        let last_start = attempts.len().saturating_sub(SHOWN);
        let start = decided.map_or(last_start, |it| it.saturating_sub(BEFORE).min(last_start));
        let mut lines = Vec::new();
        if decided.is_none() {
            let event = decisive.description();
            lines.push(format!(
                "{event}, DECIDES, but it was never acknowledged: only the API shows it"
            ));
        }
        if start > 0 {
            lines.push(format!("{} before these", deliveries(start)));
        }
        for (place, attempt) in attempts.iter().enumerate().skip(start).take(SHOWN) {
            let Some(event) = events.get(&attempt.sequence) else { continue };
            let before = attempts.get(..place).unwrap_or_default();
            lines.push(describe(attempt, event, before, decided == Some(place)));
        }
        let shown = attempts.len().min(start + SHOWN);
        if shown < attempts.len() {
            lines.push(format!("{} after these", deliveries(attempts.len() - shown)));
        }
        let unsent = events.keys().filter(|&&it| !attempts.iter().any(|at| at.sequence == it));
        match unsent.count() {
            0 => {}
            1 => lines.push("1 event about it was never sent".to_owned()),
            count => lines.push(format!("{count} events about it were never sent")),
        }
        lines
    }
}

/// The state of the user, on which access depends.
fn user_state(data: &EventData) -> Option<String> {
    let user = match data {
        EventData::UserCreated(user) => user,
        EventData::UserUpdated(change) => &change.user,
        _ => return None,
    };
    user.state.as_ref().map(ToString::to_string)
}

fn deliveries(count: usize) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{count} deliveries") }
}

fn describe(attempt: &Attempt, event: &Event, before: &[&Attempt], decides: bool) -> String {
    let mut line = format!("#{} {}", attempt.number, event.description());
    match attempt.reply {
        Reply::Status(status) => line.push_str(&format!(": {status}")),
        Reply::Silence => line.push_str(": no response"),
        Reply::Open => line.push_str(": interrupted"),
    }
    if decides {
        line.push_str(", DECIDES");
    }
    if before.iter().any(|it| it.sequence == attempt.sequence) {
        line.push_str(", sent again");
    }
    let is_newer = |it: &&&Attempt| it.sequence > attempt.sequence && it.reply.is_success();
    if let Some(newer) = before.iter().rev().find(is_newer) {
        line.push_str(&format!(", late: after #{}, which is newer", newer.number));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_decides_about_an_object_only_if_it_exists() {
        let story = |section, key: &str, names: &[&str]| {
            let mut story = Story::of(&Difference::Unexpected { section, key: key.to_owned() });
            for (name, sequence) in names.iter().zip(0..) {
                story.events.push(Event {
                    sequence,
                    name: (*name).to_owned(),
                    id: "event_1".to_owned(),
                    created_at: None,
                    updated_at: None,
                    state: None,
                    is_end: false,
                });
                story.attempts.push(Attempt { number: 1, sequence, reply: Reply::Status(200) });
            }
            story.lines(false)
        };
        let (added, removed) = ("dsync.group.user_added", "dsync.group.user_removed");
        let explained =
            ["only removals from groups were acknowledged, which create no user and no group"];
        assert_eq!(story(Section::Access, "u", &[removed, removed]), explained);
        assert_eq!(story(Section::Groups, "g", &[removed]), explained);
        assert_ne!(story(Section::Users, "u", &[removed, added]), explained);
        assert_ne!(story(Section::Memberships, "u in g", &[removed]), explained);
    }
}
