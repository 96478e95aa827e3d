//! Writes event bodies as WorkOS does: with the fields in its order, including deprecated ones.
//!
//! They are written by hand into one buffer, because the simulator sends tens of thousands of them a second.

use std::io::Write as _;

use ulid::{ULID_LEN, Ulid};

use super::world::{Directory, Group, User};

/// Large enough for a body with a user and a group.
const CAPACITY: usize = 2048;

/// Writes the bodies of events.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Writes a body and returns it. `data` writes the members of its `data` object.
    pub(super) fn event(
        &mut self,
        id: Ulid,
        name: &str,
        created_at: i64,
        data: impl FnOnce(&mut Self),
    ) -> &[u8] {
        self.0.clear();
        self.0.reserve(CAPACITY);
        self.raw(r#"{"id":"#);
        self.id("event_", id);
        self.raw(r#","data":{"#);
        data(self);
        self.raw(r#"},"event":""#);
        self.raw(name);
        self.raw(r#"","created_at":"#);
        self.time(created_at);
        self.raw(r#","context":{}}"#);
        &self.0
    }

    pub(super) fn directory_activated(&mut self, directory: &Directory) {
        self.directory(directory, "active");
        self.raw(r#","external_key":""#);
        self.write(format_args!("{:016x}", directory.external_key));
        self.raw(r#"","domains":[{"object":"organization_domain","id":"#);
        self.id("org_domain_", directory.domain);
        self.raw(r#","domain":""#);
        self.domain(directory);
        self.raw(r#""}]"#);
        self.times(directory.created_at, directory.updated_at);
    }

    pub(super) fn directory_deleted(&mut self, directory: &Directory) {
        self.directory(directory, "deleting");
        self.times(directory.created_at, directory.updated_at);
    }

    pub(super) fn user(&mut self, directory: &Directory, user: &User) {
        self.user_as(directory, user, user.state());
    }

    /// A deleted user is always `inactive`.
    pub(super) fn user_deleted(&mut self, directory: &Directory, user: &User) {
        self.user_as(directory, user, "inactive");
    }

    pub(super) fn user_updated(&mut self, directory: &Directory, user: &User, before: &User) {
        self.user(directory, user);
        self.raw(r#","previous_attributes":{"#);
        let mut list = List::new();
        let renamed = user.last_name != before.last_name;
        if renamed {
            list.next(self, r#""email":"#);
            self.email(directory, before);
            list.next(self, r#""last_name":"#);
            self.text(before.last_name());
            list.next(self, r#""name":"#);
            self.full_name(before);
        }
        if user.active != before.active {
            list.next(self, r#""state":"#);
            self.text(before.state());
        }
        if user.role != before.role {
            list.next(self, r#""role":"#);
            self.role(before);
            list.next(self, r#""roles":["#);
            self.role(before);
            self.raw("]");
        }
        let moved = user.department != before.department;
        let promoted = user.title != before.title;
        if renamed || moved || promoted {
            list.next(self, r#""custom_attributes":{"#);
            let mut list = List::new();
            if renamed {
                list.next(self, r#""emails":"#);
                self.emails(directory, before);
            }
            if moved {
                list.next(self, r#""department_name":"#);
                self.text(before.department());
            }
            if promoted {
                list.next(self, r#""job_title":"#);
                self.text(before.title());
            }
            self.raw("}");
        }
        self.raw("}");
    }

    pub(super) fn group(&mut self, directory: &Directory, group: &Group) {
        self.raw(r#""id":"#);
        self.id("directory_group_", group.id);
        self.raw(r#","idp_id":"#);
        self.idp_id("00g", group.id);
        self.owner(directory);
        self.raw(r#","object":"directory_group","name":"#);
        self.text(group.name());
        self.raw(r#","raw_attributes":{}"#);
        self.times(group.created_at, group.updated_at);
    }

    pub(super) fn group_updated(&mut self, directory: &Directory, group: &Group, before: &Group) {
        self.group(directory, group);
        self.raw(r#","previous_attributes":{"name":"#);
        self.text(before.name());
        self.raw("}");
    }

    pub(super) fn membership(&mut self, directory: &Directory, user: &User, group: &Group) {
        self.raw(r#""directory_id":"#);
        self.id("directory_", directory.id);
        self.raw(r#","user":{"#);
        self.user(directory, user);
        self.raw(r#"},"group":{"#);
        self.group(directory, group);
        self.raw("}");
    }

    fn directory(&mut self, directory: &Directory, state: &str) {
        self.raw(r#""object":"directory","id":"#);
        self.id("directory_", directory.id);
        self.raw(r#","organization_id":"#);
        self.id("org_", directory.organization);
        self.raw(r#","name":"#);
        self.text(&directory.name());
        self.raw(r#","type":"#);
        self.text(directory.provider());
        self.raw(r#","state":"#);
        self.text(state);
    }

    fn user_as(&mut self, directory: &Directory, user: &User, state: &str) {
        self.raw(r#""id":"#);
        self.id("directory_user_", user.id);
        self.owner(directory);
        self.raw(r#","object":"directory_user","idp_id":"#);
        self.idp_id("00u", user.id);
        self.raw(r#","email":"#);
        self.email(directory, user);
        self.raw(r#","first_name":"#);
        self.text(user.first_name());
        self.raw(r#","last_name":"#);
        self.text(user.last_name());
        self.raw(r#","name":"#);
        self.full_name(user);
        self.raw(r#","emails":[],"username":null,"job_title":null,"raw_attributes":{},"state":"#);
        self.text(state);
        self.raw(r#","custom_attributes":{"emails":"#);
        self.emails(directory, user);
        self.raw(r#","department_name":"#);
        self.text(user.department());
        self.raw(r#","employee_number":"#);
        self.write(format_args!("\"E-{:05}\"", user.number));
        self.raw(r#","employee_type":"full_time","job_title":"#);
        self.text(user.title());
        self.raw(r#","organization":"#);
        self.text(directory.company());
        self.raw(r#","username":"#);
        self.write(format_args!("\"e{:05}\"", user.number));
        self.raw(r#"},"role":"#);
        self.role(user);
        self.raw(r#","roles":["#);
        self.role(user);
        self.raw("]");
        self.times(user.created_at, user.updated_at);
    }

    fn owner(&mut self, directory: &Directory) {
        self.raw(r#","directory_id":"#);
        self.id("directory_", directory.id);
        self.raw(r#","organization_id":"#);
        self.id("org_", directory.organization);
    }

    fn emails(&mut self, directory: &Directory, user: &User) {
        self.raw(r#"[{"primary":true,"type":"work","value":"#);
        self.email(directory, user);
        self.raw("}]");
    }

    fn email(&mut self, directory: &Directory, user: &User) {
        let [first, last] = user.mailbox();
        self.raw("\"");
        for part in [first, ".", last, "."] {
            self.raw(part);
        }
        self.write(format_args!("{}@", user.number));
        self.domain(directory);
        self.raw("\"");
    }

    fn domain(&mut self, directory: &Directory) {
        self.raw(directory.company_slug());
        self.write(format_args!("-{}.example", directory.number));
    }

    fn full_name(&mut self, user: &User) {
        self.text(&[user.first_name(), " ", user.last_name()].concat());
    }

    fn role(&mut self, user: &User) {
        self.raw(r#"{"slug":"#);
        self.text(user.role());
        self.raw("}");
    }

    fn times(&mut self, created_at: i64, updated_at: i64) {
        self.raw(r#","created_at":"#);
        self.time(created_at);
        self.raw(r#","updated_at":"#);
        self.time(updated_at);
    }

    /// A time with exactly three digits of milliseconds.
    fn time(&mut self, millis: i64) {
        let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
        self.write(format_args!("\"{time:.3}\""));
    }

    fn id(&mut self, prefix: &str, id: Ulid) {
        self.raw("\"");
        self.raw(prefix);
        self.raw(id.array_to_str(&mut [0; ULID_LEN]));
        self.raw("\"");
    }

    /// An id of 20 characters, such as those of Okta.
    fn idp_id(&mut self, prefix: &str, id: Ulid) {
        let mut buffer = [0; ULID_LEN];
        let text = id.array_to_str(&mut buffer);
        text.make_ascii_lowercase();
        self.raw("\"");
        self.raw(prefix);
        self.raw(text.get(9..).unwrap_or_default());
        self.raw("\"");
    }

    fn text(&mut self, text: &str) {
        // Neither writing to a `Vec` nor serializing a string can fail.
        let _ = serde_json::to_writer(&mut self.0, text);
    }

    fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a `Vec` can't fail.
        let _ = self.0.write_fmt(arguments);
    }
}

/// Writes the commas between the members of an object.
struct List {
    first: bool,
}

impl List {
    fn new() -> Self {
        Self { first: true }
    }

    fn next(&mut self, writer: &mut Writer, key: &str) {
        if !std::mem::take(&mut self.first) {
            writer.raw(",");
        }
        writer.raw(key);
    }
}
