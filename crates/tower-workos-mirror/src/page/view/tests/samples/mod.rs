//! Facts to show.

mod pages;

use std::time::Duration;

use tower_workos::Timestamp;

use crate::{
    change::ChangeKind,
    page::{
        facts::{
            DeadLetterFacts, DeadLetters, DirectoryState, Labels, LastEvent, Level, Overview,
            Problem, QueueFigures, QueueState, Repair, Verdict,
        },
        view::Shell,
    },
    read::{Directory, DriftSummary, Group, User},
};

pub(super) const NOW: &str = "2026-11-26T14:03:05Z";

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

/// This many seconds before the page is made.
pub(super) fn before(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis_saturating(time(NOW).as_unix_millis() - seconds * 1000)
}

pub(super) fn shell() -> Shell {
    Shell {
        style: "style.css".into(),
        script: "script.js".into(),
        title: "Directory Sync".into(),
        seq: 4711,
        now: time(NOW),
    }
}

pub(super) fn id(kind: &str, number: usize) -> String {
    format!("{kind}_01KB2Q8Z7XN4V5M6P7R8S9{number:04}")
}

const PEOPLE: [(&str, &str); 8] = [
    ("Ada", "Lovelace"),
    ("Grace", "Hopper"),
    ("Alan", "Turing"),
    ("Katherine", "Johnson"),
    ("Zoë", "Kruså"),
    ("محمد", "الخوارزمي"),
    ("Barbara", "Liskov"),
    ("Radia", "Perlman"),
];

/// Whatever a directory can send is this text, if it is not `None`.
pub(super) struct World<'a>(pub(super) Option<&'a str>);

impl World<'_> {
    fn text(&self, usual: &str) -> String {
        self.0.unwrap_or(usual).to_owned()
    }

    pub(super) fn user(&self, number: usize) -> User {
        let (first, last) = PEOPLE.get(number % PEOPLE.len()).copied().unwrap_or_default();
        let is_active = number % 4 != 2;
        let email = format!("{}.{}@acme.example", first.to_lowercase(), last.to_lowercase());
        let state = if is_active { "active" } else { "inactive" };
        let attributes = serde_json::json!({
            "department_name": self.text("Analytical Engines"),
            "employee_number": 1815,
            "job_title": self.text("Principal engineer"),
            "emails": [{ "primary": true, "value": self.text(&email) }],
        });
        User {
            id: id("directory_user", number).into(),
            directory_id: Some(id("directory", number % 2).into()),
            organization_id: Some(id("org", 1).into()),
            idp_id: Some(self.text("00u1b2c3d4e5f6g7h8i9")),
            email: Some(self.text(&email)),
            first_name: Some(self.text(first)),
            last_name: Some(self.text(last)),
            name: Some(self.text(&format!("{first} {last}"))),
            state: Some(self.0.unwrap_or(state).into()),
            role: Some(self.text("member")),
            roles: vec![self.text("member"), self.text("billing")],
            custom_attributes: serde_json::from_value(attributes).unwrap_or_default(),
            created_at: Some(before(86_400 * 400)),
            updated_at: Some(before(240 + 5000 * i64::try_from(number).unwrap_or(0))),
            has_access: is_active && number % 7 != 3,
        }
    }

    pub(super) fn group(&self, number: usize) -> Group {
        let names = ["Engineering", "Everyone", "Finance", "On call", "Research"];
        Group {
            id: id("directory_group", number).into(),
            directory_id: Some(id("directory", number % 2).into()),
            organization_id: Some(id("org", 1).into()),
            idp_id: Some(self.text("00g1b2c3")),
            name: Some(self.text(names.get(number % 5).copied().unwrap_or_default())),
            raw_attributes: Default::default(),
            created_at: Some(before(86_400 * 90)),
            updated_at: Some(before(86_400 * 3)),
        }
    }

    pub(super) fn directory(&self, number: usize) -> DirectoryState {
        let names = ["Acme Okta", "Globex Entra ID", "Initech Google", "Umbrella Rippling"];
        let kinds = ["okta scim v2.0", "azure scim v2.0", "gsuite directory", "rippling"];
        let state = if number == 2 { "invalid_credentials" } else { "active" };
        let domain =
            serde_json::json!([{ "id": "org_domain_1", "domain": self.text("acme.example") }]);
        DirectoryState {
            id: id("directory", number).into(),
            listed: Some(Directory {
                id: id("directory", number).into(),
                organization_id: Some(id("org", 1).into()),
                name: Some(self.text(names.get(number % 4).copied().unwrap_or_default())),
                directory_type: Some(
                    self.0.unwrap_or(kinds.get(number % 4).copied().unwrap_or_default()).into(),
                ),
                state: Some(self.0.unwrap_or(state).into()),
                domains: serde_json::from_value(domain).unwrap_or_default(),
                created_at: Some(before(86_400 * 300)),
                updated_at: Some(before(86_400 * 2)),
                gives_access: true,
            }),
            deleted: None,
            absent_since: None,
            last_event: Some(self.last_event()),
            compared_at: Some(before(190)),
        }
    }

    fn last_event(&self) -> LastEvent {
        LastEvent {
            name: self.text("dsync.user.updated"),
            happened_at: Some(before(13)),
            arrived_at: before(12),
        }
    }

    pub(super) fn labels(&self) -> Labels {
        let directories = (0..4).filter_map(|it| self.directory(it).listed);
        Labels {
            directories: directories.filter_map(|it| Some((it.id, it.name?))).collect(),
            groups: (0..5)
                .map(|it| self.group(it))
                .filter_map(|it| Some((it.id, it.name?)))
                .collect(),
            users: (0..50)
                .map(|it| self.user(it))
                .filter_map(|it| Some((it.id, it.name?)))
                .collect(),
        }
    }

    pub(super) fn overview(&self, level: Level) -> Overview {
        let is_good = level == Level::InStep;
        let mut directories: Vec<_> = (0..4).map(|it| self.directory(it)).collect();
        let mut problems = Vec::new();
        if level == Level::OutOfStep {
            problems.push(Problem {
                level,
                text: "3 events could not be stored in the tables.".into(),
                hint: "Read their reasons below. Fix the cause, then replay them with Mirror::replay_dead_letters.".into(),
            });
        }
        if !is_good {
            problems.push(Problem {
                level: Level::Unknown,
                text: "The latest comparison with the API was not complete.".into(),
                hint: "Read the log of the process that runs the repair. The API may have rejected the key.".into(),
            });
            if let Some(state) = directories.get_mut(3) {
                state.listed = None;
                state.deleted = Some((before(7200), Some(id("event", 3).into())));
            }
            if let Some(state) = directories.get_mut(1) {
                state.listed = None;
                state.absent_since = Some(before(7200));
                state.last_event = None;
                state.compared_at = None;
            }
        }
        let drift = |kind: ChangeKind, action: &str, count| DriftSummary {
            kind: kind.as_str().into(),
            action: action.into(),
            count,
        };
        let letter = |number| DeadLetterFacts {
            event_id: Some(id("event", number).into()),
            name: Some(self.text("dsync.user.created")),
            reason: self.text("data.object: missing field `id`"),
            arrived_at: before(400),
        };
        Overview {
            now: time(NOW),
            verdict: Verdict {
                level,
                problems,
                since: Some(before(if is_good { 190 } else { 11_000 })),
            },
            repairs: vec![Repair {
                environment: self.text("default"),
                last_success: Some(before(if is_good { 190 } else { 11_000 })),
                last_run: Some(before(190)),
                is_complete: is_good,
                drift: if is_good {
                    Vec::new()
                } else {
                    vec![
                        drift(ChangeKind::UserRevoked, "applied", 2),
                        drift(ChangeKind::MembershipRemoved, "withheld", 1280),
                        DriftSummary { kind: self.text("x"), action: self.text("y"), count: 1 },
                    ]
                },
                is_polled: true,
                drained_at: is_good.then(|| before(2)),
            }],
            queues: vec![
                QueueState {
                    name: self.text("inbox"),
                    status: Some(QueueFigures {
                        depth: if is_good { 0 } else { 12_345 },
                        oldest_age: (!is_good).then_some(Duration::from_secs(754)),
                        dead: if is_good { 0 } else { 3 },
                    }),
                },
                QueueState {
                    name: self.text("outbox"),
                    status: is_good.then_some(QueueFigures {
                        depth: 1,
                        oldest_age: Some(Duration::ZERO),
                        dead: 0,
                    }),
                },
            ],
            dead_letters: if level == Level::OutOfStep {
                DeadLetters { count: 3, latest: (0..3).map(letter).collect() }
            } else {
                DeadLetters::default()
            },
            last_event: Some(self.last_event()),
            directories,
            next: Some(id("directory", 3).into()),
        }
    }
}

pub(super) const KINDS: [ChangeKind; 16] = [
    ChangeKind::DirectoryCreated,
    ChangeKind::DirectoryDeleted,
    ChangeKind::DirectoryRestored,
    ChangeKind::DirectoryRevoked,
    ChangeKind::DirectoryUpdated,
    ChangeKind::GroupCreated,
    ChangeKind::GroupDeleted,
    ChangeKind::GroupUpdated,
    ChangeKind::MembershipAdded,
    ChangeKind::MembershipRemoved,
    ChangeKind::Other,
    ChangeKind::UserCreated,
    ChangeKind::UserDeleted,
    ChangeKind::UserGranted,
    ChangeKind::UserRevoked,
    ChangeKind::UserUpdated,
];
