//! The page of a user.

use std::{collections::BTreeMap, time::Duration};

use maud::{Markup, html};
use serde_json::Value as Json;

use super::{
    Live, Place, Shell, address,
    directory::{directory_name, status_cell},
    document, foreign, group_link, icon, link, moment, pager, pill,
    text::{self, Tone},
    time, user_table, when,
};
use crate::{
    change::Change,
    page::facts::{Entry, EventFacts, UserFacts},
    read::User,
};

/// How many groups, attributes and other users the page shows.
const SHOWN: usize = 100;
/// How many characters of an attribute's value the page shows.
const VALUE: usize = 200;

/// The page of a user.
pub(in crate::page) fn user(shell: &Shell, facts: &UserFacts) -> Markup {
    let id = facts.id.as_str();
    let name = facts.user.as_ref().map(|user| text::user_name(user, text::LIST));
    let title = name.clone().unwrap_or_else(|| text::clean(id, text::LIST));
    let older = facts.older.as_deref().map(|older| link("user", &[("id", id), ("before", older)]));
    let body = html! {
        header.head {
            p.kind { "User" }
            h1 { bdi { (title) } }
            @if let Some(email) = facts.user.as_ref().and_then(|it| it.email.as_deref()) {
                p.lead { (address(email, text::LIST)) }
            }
        }
        div #about data-live {
            (access(facts, name.as_deref().unwrap_or("This user")))
            @if !facts.others.is_empty() {
                section.card {
                    h2 { "Other users with this e-mail address" }
                    p.lead { "The same person may have access as another user of the organization." }
                    (user_table(&facts.others, None, facts.now, "Users of the same organization"))
                }
            }
            (details(facts))
            @if facts.user.is_some() { (groups(facts)) }
            @if let Some(user) = &facts.user { (attributes(user)) }
            section.card {
                h2 { "History" }
                p.lead { "Events about the user and the user's directory, the latest first. Times are in UTC." }
                @if facts.history.is_empty() {
                    p.empty { "The history contains no events." }
                } @else {
                    (history(facts))
                }
                (pager(None, older.as_deref(), "Older events"))
            }
        }
    };
    document(shell, Place::User, &title, Live::Changes, &body)
}

fn access(facts: &UserFacts, name: &str) -> Markup {
    let access = &facts.access;
    let (tone, words) =
        if access.has_access { (Tone::Good, "has access") } else { (Tone::Bad, "has no access") };
    let (because, change) = text::reason(&access.reason);
    html! {
        section.verdict.(tone.class()) aria-labelledby="access" {
            (if access.has_access { icon(tone) } else { super::no_entry() })
            div {
                h2 #access { bdi { (name) } " " (words) ", " span { "because " bdi { (because) } "." } }
                p {
                    @if let Some(at) = access.at { "Since " (moment(at)) " (" (when(at, facts.now)) "). " }
                    @if let Some(event) = &access.event {
                        "Event: " span.id { (foreign(event.as_str(), text::LIST)) }
                    } @else if access.at.is_some() {
                        "Found by a comparison with the API."
                    } @else {
                        "Since when is not known: the history does not go back that far."
                    }
                }
                p.hint { (change) }
            }
        }
    }
}

fn details(facts: &UserFacts) -> Markup {
    html! {
        section.card {
            h2 { "Details" }
            dl.facts {
                @if let Some(user) = &facts.user {
                    @if let Some(name) = &user.name { div { dt { "Name" } dd { (foreign(name, text::DETAIL)) } } }
                    @if let Some(email) = &user.email {
                        div { dt { "E-mail address" } dd { (address(email, text::DETAIL)) } }
                    }
                }
                div { dt { "Id" } dd.id { (foreign(facts.id.as_str(), text::DETAIL)) } }
                @if let Some(state) = &facts.directory {
                    div { dt { "Directory" } dd {
                        a href=(link("directory", &[("id", state.id.as_str())])) { bdi { (directory_name(state)) } }
                        " " (status_cell(state))
                    } }
                }
                @if let Some(user) = &facts.user { (known(user)) }
            }
        }
    }
}

fn known(user: &User) -> Markup {
    let roles = user.roles.iter().take(SHOWN).map(|it| text::clean(it, text::LIST));
    let roles = roles.collect::<Vec<_>>().join(", ");
    html! {
        @if let Some(state) = &user.state { div { dt { "State" } dd { (foreign(state.as_str(), text::LIST)) } } }
        @if let Some(role) = &user.role { div { dt { "Role" } dd { (foreign(role, text::LIST)) } } }
        @if user.roles.len() > 1 { div { dt { "Roles" } dd { bdi { (roles) } } } }
        @if let Some(idp) = &user.idp_id {
            div { dt { "Id at the provider" } dd.id { (foreign(idp, text::DETAIL)) } }
        }
        @if let Some(organization) = &user.organization_id {
            div { dt { "Organization" } dd.id { (foreign(organization.as_str(), text::DETAIL)) } }
        }
        @if let Some(at) = user.created_at { div { dt { "Created" } dd { (moment(at)) } } }
        @if let Some(at) = user.updated_at { div { dt { "Updated" } dd { (moment(at)) } } }
    }
}

fn groups(facts: &UserFacts) -> Markup {
    html! {
        section.card {
            h2 { "Groups" }
            @if facts.groups.is_empty() {
                p.empty { "The user is in no group." }
            } @else {
                ul.tags {
                    @for group in facts.groups.iter().take(SHOWN) {
                        li { (group_link(group.id.as_str(), &text::group_name(group, text::LIST))) }
                    }
                    (more(facts.groups.len(), SHOWN))
                }
            }
        }
    }
}

fn attributes(user: &User) -> Markup {
    let attributes: BTreeMap<String, Json> =
        serde_json::from_str(user.custom_attributes.raw()).unwrap_or_default();
    html! {
        @if !attributes.is_empty() {
            section.card {
                h2 { "Custom attributes" }
                table.pairs {
                    caption.visually-hidden { "Custom attributes" }
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Value" } } }
                    tbody {
                        @for (name, value) in attributes.iter().take(SHOWN) {
                            tr {
                                th scope="row" { (foreign(name, text::LIST)) }
                                td {
                                    @if let Json::String(text) = value { (foreign(text, VALUE)) }
                                    @else { (foreign(&value.to_string(), VALUE)) }
                                }
                            }
                        }
                    }
                }
                @if attributes.len() > SHOWN { ul.plain { (more(attributes.len(), SHOWN)) } }
            }
        }
    }
}

fn more(all: usize, shown: usize) -> Markup {
    html! { @if all > shown { li { "and " (all - shown) " more" } } }
}

fn history(facts: &UserFacts) -> Markup {
    html! {
        table.history {
            caption.visually-hidden { "Events, the latest first" }
            thead {
                tr {
                    th scope="col" { "Happened" }
                    th scope="col" { "Arrived" }
                    th scope="col" { "Event" }
                    th scope="col" { "What changed" }
                }
            }
            tbody {
                @for entry in &facts.history {
                    tr {
                        @if let Some(event) = &entry.event {
                            (event_cells(entry, event))
                        } @else {
                            td data-l="Happened" { span.none { "not known" } }
                            td data-l="Found" { (moment(entry.at)) }
                            td { "Found by a comparison with the API" }
                        }
                        td { (effects(entry, facts)) }
                    }
                }
            }
        }
    }
}

fn event_cells(entry: &Entry, event: &EventFacts) -> Markup {
    html! {
        td data-l="Happened" {
            @if let Some(at) = event.happened_at { (moment(at)) } @else { span.none { "not known" } }
        }
        td data-l="Arrived" {
            (moment(entry.at))
            small {
                @if let Some(at) = event.happened_at { (delay(time::between(at, entry.at))) " " }
                @if event.is_late { (pill(Tone::Warn, "late")) }
            }
        }
        td {
            (foreign(event.name.as_deref().unwrap_or("Event without a name"), text::LIST))
            small.id { (foreign(event.id.as_str(), text::LIST)) }
        }
    }
}

fn delay(delay: Duration) -> String {
    if delay.as_secs() == 0 { "within 1 s".into() } else { format!("+{}", time::duration(delay)) }
}

fn effects(entry: &Entry, facts: &UserFacts) -> Markup {
    const EFFECTS: usize = 10;
    html! {
        @if entry.changes.is_empty() {
            @let is_late = entry.event.as_ref().is_some_and(|event| event.is_late);
            span.none { (if is_late { "nothing: a later version was known" } else { "nothing about this user" }) }
        } @else {
            ul.plain {
                @for change in entry.changes.iter().take(EFFECTS) { li { (effect(change, facts)) } }
                (more(entry.changes.len(), EFFECTS))
            }
        }
    }
}

fn effect(change: &Change, facts: &UserFacts) -> Markup {
    let (tone, words) = text::kind(change.kind);
    let fields = text::fields(change);
    html! {
        (pill(tone, words))
        @if let Some(id) = &change.group_id {
            small { (group_link(id.as_str(), &text::label(facts.labels.groups.get(id), id.as_str()))) }
        }
        @if !fields.is_empty() { small { (fields) } }
    }
}
