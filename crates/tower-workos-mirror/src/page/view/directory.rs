//! The page of a directory.

use maud::{Markup, html};
use tower_workos::Timestamp;

use super::{
    Live, Place, Shell, document, foreign, last_event, link, moment, pill,
    text::{self, Tone},
    when,
};
use crate::page::facts::{DirectoryFacts, DirectoryState};

/// The page of a directory.
pub(in crate::page) fn directory(shell: &Shell, facts: &DirectoryFacts) -> Markup {
    let state = &facts.state;
    let id = state.id.as_str();
    let listed = state.listed.as_ref();
    let name = directory_name(state);
    let (tone, short, long) = status(state);
    let counts = [
        ("Users", facts.users, link("users", &[("directory", id)])),
        (
            "Users with access",
            facts.users_with_access,
            link("users", &[("directory", id), ("access", "yes")]),
        ),
        ("Groups", facts.groups, link("groups", &[("directory", id)])),
    ];
    let body = html! {
        header.head {
            p.kind { "Directory" }
            h1 { bdi { (name) } }
        }
        div #about data-live {
            section.verdict.(tone.class()) {
                (super::icon(tone))
                div {
                    h2 { (short) }
                    p { (long) " " (since(state, facts.now)) }
                }
            }
            div.cards {
                @for (words, count, link) in counts {
                    a.card.tile href=(link) { span { (words) } strong { (text::count(count)) } }
                }
            }
            section.card {
                h2 { "Details" }
                dl.facts {
                    div { dt { "Id" } dd.id { (foreign(id, text::DETAIL)) } }
                    @if let Some(directory) = listed {
                        @if let Some(name) = &directory.name {
                            div { dt { "Name" } dd { (foreign(name, text::DETAIL)) } }
                        }
                        @if let Some(kind) = &directory.directory_type {
                            div { dt { "Type" } dd { (foreign(kind.as_str(), text::LIST)) } }
                        }
                        @if let Some(state) = &directory.state {
                            div { dt { "State" } dd { (foreign(state.as_str(), text::LIST)) } }
                        }
                        @if let Some(organization) = &directory.organization_id {
                            div { dt { "Organization" } dd.id { (foreign(organization.as_str(), text::DETAIL)) } }
                        }
                        @if !directory.domains.is_empty() {
                            div { dt { "Domains" } dd {
                                @for domain in directory.domains.iter().take(20) {
                                    @if let Some(name) = &domain.domain { (foreign(name, text::LIST)) br; }
                                }
                            } }
                        }
                        @if let Some(at) = directory.created_at { div { dt { "Created" } dd { (moment(at)) } } }
                        @if let Some(at) = directory.updated_at { div { dt { "Updated" } dd { (moment(at)) } } }
                    }
                    div { dt { "Last event" } dd { (last_event(state.last_event.as_ref(), facts.now)) } }
                    div { dt { "Compared with the API" } dd {
                        @if let Some(at) = state.compared_at { (when(at, facts.now)) small { (moment(at)) } }
                        @else { span.none { "never" } }
                    } }
                }
            }
        }
    };
    document(shell, Place::Directory, &name, Live::Clock, &body)
}

/// The name of a directory, or its id if it is not listed.
pub(super) fn directory_name(state: &DirectoryState) -> String {
    match &state.listed {
        Some(directory) => text::directory_name(directory, text::LIST),
        None => text::clean(state.id.as_str(), text::LIST),
    }
}

/// Returns whether the directory's users can have access: in two words, and in a sentence.
pub(super) fn status(state: &DirectoryState) -> (Tone, &'static str, String) {
    if state.deleted.is_some() {
        return (
            Tone::Bad,
            "Deleted",
            "Its users have no access, and WorkOS sends no more events about them.".into(),
        );
    }
    if state.absent_since.is_some() {
        let text = "The lists of WorkOS's API don't contain it, so its users have no access.";
        return (Tone::Bad, "Absent from the API", text.into());
    }
    let Some(directory) = &state.listed else {
        let text =
            "The first event about the directory has not arrived. Its active users have access.";
        return (Tone::Warn, "Not known yet", text.into());
    };
    let name = directory.state.as_ref().map_or("not known", |it| it.as_str());
    let name = text::clean(&name.replace('_', " "), text::LIST);
    let is_connected = directory.state.as_ref().is_none_or(|it| it.as_str() == "active");
    match (directory.gives_access, is_connected) {
        (true, true) => (Tone::Good, "Gives access", "Its active users have access.".into()),
        (true, false) => {
            let text = format!(
                "Its active users have access, but its state is “{name}”: changes may not arrive."
            );
            (Tone::Warn, "Gives access", text)
        }
        (false, _) => {
            let text = format!("Its users have no access, because its state is “{name}”.");
            (Tone::Bad, "Gives no access", text)
        }
    }
}

fn since(state: &DirectoryState, now: Timestamp) -> Markup {
    html! {
        @if let Some((at, event)) = &state.deleted {
            "It was deleted " (when(*at, now)) " (" (moment(*at)) "). "
            @if let Some(event) = event {
                "Event: " span.id { (foreign(event.as_str(), text::LIST)) }
            } @else {
                "No event said so, but the lists did not contain it for too long."
            }
        } @else if let Some(at) = state.absent_since {
            "This was found " (when(at, now)) " (" (moment(at)) ")."
        }
    }
}

/// The cell of a table about what a directory gives its users.
pub(super) fn status_cell(state: &DirectoryState) -> Markup {
    let (tone, short, _) = status(state);
    html! {
        (pill(tone, short))
        @if let Some(state) = state.listed.as_ref().and_then(|it| it.state.as_ref()) {
            small { (foreign(&state.as_str().replace('_', " "), 40)) }
        }
    }
}
