//! What the pages look like. Each function returns a complete HTML document without inline scripts or styles.
//!
//! All pages are siblings, so that their links are relative and work under any prefix.

mod changes;
mod directory;
mod groups;
mod overview;
mod text;
mod time;
mod user;
mod users;

#[cfg(test)]
mod tests;

pub(in crate::page) use self::{
    changes::{change_row, changes},
    directory::directory,
    groups::{group, groups},
    overview::overview,
    user::user,
    users::users,
};

use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tower_workos::{DirectoryId, Timestamp};

use self::text::Tone;
use super::facts::{Labels, LastEvent};
use crate::read::User;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What all pages have in common.
pub(in crate::page) struct Shell {
    /// The file name of the style sheet.
    pub(in crate::page) style: String,
    /// The file name of the script.
    pub(in crate::page) script: String,
    /// What the page is called.
    pub(in crate::page) title: String,
    /// The number of the latest change when the page was made.
    pub(in crate::page) seq: i64,
    pub(in crate::page) now: Timestamp,
}

/// The page of an error, for example 404.
pub(in crate::page) fn message(shell: &Shell, title: &str, text: &str) -> Markup {
    let body = html! {
        section.card.message {
            h1 { (title) }
            p { (text) }
            a.button href="overview" { "Overview" }
        }
    };
    document(shell, Place::Elsewhere, title, Live::Off, &body)
}

/// Where a page is in the navigation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Changes,
    Directory,
    Elsewhere,
    Group,
    Groups,
    Overview,
    User,
    Users,
}

/// How the script keeps a page up to date.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Live {
    Off,
    /// It loads the page again after changes.
    Changes,
    /// It also does so from time to time: the page shows more than the tables.
    Clock,
    /// It adds each change to the list.
    Feed,
}

fn document(shell: &Shell, place: Place, title: &str, live: Live, body: &Markup) -> Markup {
    let name = text::clean(&shell.title, text::LIST);
    let mode = match live {
        Live::Off => None,
        Live::Changes => Some("changes"),
        Live::Clock => Some("clock"),
        Live::Feed => Some("feed"),
    };
    let entry = |list: Place, one: Place, link: &str, text: &str| {
        let current = if place == list { Some("page") } else { (place == one).then_some("true") };
        html! { li { a href=(link) aria-current=[current] { (text) } } }
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (name) }
                link rel="stylesheet" href=(shell.style);
                @if mode.is_some() {
                    script src=(shell.script) defer {}
                }
            }
            body data-mode=[mode] data-seq=[mode.map(|_| shell.seq)]
                data-now=[mode.map(|_| shell.now.as_unix_millis())] {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    div.bar {
                        a.brand href="overview" { (mark()) bdi { (name) } }
                        nav aria-label="Pages" {
                            ul {
                                (entry(Place::Overview, Place::Directory, "overview", "Overview"))
                                (entry(Place::Users, Place::User, "users", "Users"))
                                (entry(Place::Groups, Place::Group, "groups", "Groups"))
                                (entry(Place::Changes, Place::Changes, "changes", "Changes"))
                            }
                        }
                        p #live role="status" {}
                    }
                }
                main #main tabindex="-1" { (body) }
                footer {
                    p #made data-live {
                        "All times are in UTC. This page shows the state at " (moment(shell.now)) "."
                    }
                }
            }
        }
    }
}

fn mark() -> Markup {
    html! {
        svg width="22" height="22" viewBox="0 0 22 22" aria-hidden="true" focusable="false" {
            rect x="2" y="2" width="12" height="12" rx="3.5" fill="none" stroke="currentColor" stroke-width="2" {}
            rect x="8" y="8" width="12" height="12" rx="3.5" fill="currentColor" {}
        }
    }
}

/// A sign next to words: it adds nothing to them.
fn icon(tone: Tone) -> Markup {
    sign(match tone {
        Tone::Good => "M6 12.5l4 4 8-9",
        Tone::Plain => "M12 11v6M12 7v.5",
        Tone::Warn => "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2.2M12 17.5v.5",
        Tone::Bad => "M12 6v7.5M12 17.5v.5",
    })
}

fn no_entry() -> Markup {
    sign("M6.5 12h11")
}

fn sign(path: &str) -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
            circle cx="12" cy="12" r="12" {}
            path d=(path) fill="none" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round" {}
        }
    }
}

/// Returns a relative link. Parameters without a value are left out.
fn link(page: &str, parameters: &[(&str, &str)]) -> String {
    let mut link = page.to_owned();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        link.push(if link.contains('?') { '&' } else { '?' });
        link.push_str(name);
        link.push('=');
        link.extend(utf8_percent_encode(value, UNRESERVED));
    }
    link
}

/// Returns what the reader asked for, to ask for it again. Ids and the texts that are looked up are not longer.
fn echo(value: impl AsRef<str>) -> String {
    const LONGEST: usize = 255;
    value.as_ref().chars().take(LONGEST).map(text::visible).collect()
}

/// A time in UTC.
fn moment(time: Timestamp) -> Markup {
    let text = time::absolute(time);
    html! { time datetime=(iso(&text)) { (text) } }
}

/// How long ago a time was; the time itself is its title.
fn when(time: Timestamp, now: Timestamp) -> Markup {
    let text = time::absolute(time);
    html! {
        time.ago datetime=(iso(&text)) title={ (text) " UTC" } { (time::ago(time, now)) }
    }
}

/// How long ago a time was, with the time below it.
fn when_cell(time: Option<Timestamp>, now: Timestamp, otherwise: &str) -> Markup {
    html! {
        @if let Some(time) = time {
            @let text = time::absolute(time);
            time.ago datetime=(iso(&text)) { (time::ago(time, now)) }
            small { (text) }
        } @else {
            span.none { (otherwise) }
        }
    }
}

fn iso(absolute: &str) -> String {
    absolute.replacen(' ', "T", 1) + "Z"
}

fn pill(tone: Tone, text: &str) -> Markup {
    html! { span.pill.(tone.class()) { (text) } }
}

/// A text of WorkOS, isolated from the direction of the text around it.
fn foreign(text: &str, limit: usize) -> Markup {
    html! { bdi { (text::clean(text, limit)) } }
}

/// An e-mail address. It is written from left to right in all scripts.
fn address(email: &str, limit: usize) -> Markup {
    html! { bdi dir="ltr" { (text::clean(email, limit)) } }
}

fn user_link(id: &str, name: &str) -> Markup {
    html! { a href=(link("user", &[("id", id)])) { bdi { (name) } } }
}

fn group_link(id: &str, name: &str) -> Markup {
    html! { a href=(link("group", &[("id", id)])) { bdi { (name) } } }
}

fn directory_link(id: &DirectoryId, labels: &Labels) -> Markup {
    // The column is narrow.
    let name = text::clean(&text::label(labels.directories.get(id), id.as_str()), 32);
    html! { a href=(link("directory", &[("id", id.as_str())])) { bdi { (name) } } }
}

fn last_event(event: Option<&LastEvent>, now: Timestamp) -> Markup {
    html! {
        @if let Some(event) = event {
            (when(event.arrived_at, now))
            small { bdi { (text::clean(&event.name, text::LIST)) } }
        } @else {
            span.none { "none yet" }
        }
    }
}

/// The links to other pages of a list.
fn pager(first: Option<&str>, next: Option<&str>, words: &str) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.pager aria-label="Parts of the list" {
                @if let Some(first) = first { a.button href=(first) { "Back to the start" } }
                @if let Some(next) = next { a.button rel="next" href=(next) { (words) } }
            }
        }
    }
}

/// A table of users, without the columns that all rows would share.
fn user_table(users: &[User], labels: Option<&Labels>, now: Timestamp, caption: &str) -> Markup {
    html! {
        table.users {
            caption.visually-hidden { (caption) }
            thead {
                tr {
                    th scope="col" { "Name" }
                    th scope="col" { "Access" }
                    th scope="col" { "State" }
                    @if labels.is_some() { th scope="col" { "Directory" } }
                    th scope="col" { "Updated" }
                }
            }
            tbody {
                @for user in users {
                    tr {
                        td {
                            (user_link(user.id.as_str(), &text::user_name(user, text::LIST)))
                            @if let Some(email) = &user.email { small { (address(email, 48)) } }
                        }
                        td { (access(user)) }
                        td data-l="State" {
                            @if let Some(state) = &user.state { (foreign(state.as_str(), 24)) }
                            @else { span.none { "none" } }
                        }
                        @if let Some(labels) = labels {
                            td data-l="Directory" {
                                @if let Some(id) = &user.directory_id { (directory_link(id, labels)) }
                                @else { span.none { "unknown" } }
                            }
                        }
                        td data-l="Updated" { (when_cell(user.updated_at, now, "unknown")) }
                    }
                }
            }
        }
    }
}

fn access(user: &User) -> Markup {
    let is_active = user.state.as_ref().is_some_and(|state| state.as_str() == "active");
    html! {
        @if user.has_access {
            (pill(Tone::Good, "Has access"))
        } @else {
            (pill(Tone::Bad, "No access"))
            // The column about the state explains all other cases.
            @if is_active { small { "because of the directory" } }
        }
    }
}
