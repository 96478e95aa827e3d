//! The change feed.

use std::time::Duration;

use maud::{Markup, html};

use super::{
    Live, Place, Shell, directory_link, document, foreign, group_link, link, moment, pager, pill,
    text, time, user_link,
};
use crate::{
    change::Change,
    page::facts::{ChangeList, Labels},
};

/// A change that took at least this long to arrive says so.
const NOTABLE: Duration = Duration::from_secs(60);

/// A page of the change feed.
pub(in crate::page) fn changes(shell: &Shell, facts: &ChangeList) -> Markup {
    let live = if facts.is_live { Live::Feed } else { Live::Off };
    let older = facts.older.map(|seq| link("changes", &[("before", &seq.to_string())]));
    let body = html! {
        header.head {
            h1 { "Changes" }
            @if facts.is_live {
                p.lead { "Everything that changed in the tables, the latest first. New changes appear here." }
            } @else {
                p.lead { "Older changes. " a href="changes" { "Show the latest changes" } }
            }
        }
        p.visually-hidden #news role="status" {}
        section.card #changes data-live {
            @if facts.changes.is_empty() { p.empty #empty { "There are no changes." } }
            table.feed {
                caption.visually-hidden { "Changes, the latest first" }
                thead {
                    tr {
                        th scope="col" { "Stored at" }
                        th scope="col" { "Change" }
                        th scope="col" { "Of" }
                        th scope="col" { "Cause" }
                    }
                }
                tbody #feed {
                    @for change in &facts.changes { (change_row(change, &facts.labels)) }
                }
            }
        }
        (pager(None, older.as_deref(), "Older changes"))
    };
    document(shell, Place::Changes, "Changes", live, &body)
}

/// A change as a row of the feed. It contains no line breaks.
pub(in crate::page) fn change_row(change: &Change, labels: &Labels) -> Markup {
    let (tone, words) = text::kind(change.kind);
    let fields = text::fields(change);
    html! {
        tr id={ "c" (change.seq) } {
            td { (moment(change.recorded_at)) small { "no. " (change.seq) } }
            td {
                (pill(tone, words))
                @if !fields.is_empty() { small { (fields) } }
            }
            td { (objects(change, labels)) }
            td { (cause(change)) }
        }
    }
}

/// The objects that a change is about, the most specific first.
fn objects(change: &Change, labels: &Labels) -> Markup {
    html! {
        @if let Some(id) = &change.user_id {
            (user_link(id.as_str(), &text::label(labels.users.get(id), id.as_str())))
        }
        @if let Some(id) = &change.group_id {
            @let name = text::label(labels.groups.get(id), id.as_str());
            @if change.user_id.is_some() {
                small { "group " (group_link(id.as_str(), &name)) }
            } @else {
                (group_link(id.as_str(), &name))
            }
        }
        @if let Some(id) = &change.directory_id {
            @if change.user_id.is_some() || change.group_id.is_some() {
                small { "in " (directory_link(id, labels)) }
            } @else {
                (directory_link(id, labels))
            }
        }
    }
}

fn cause(change: &Change) -> Markup {
    let delay = change.happened_at.map(|at| time::between(at, change.recorded_at));
    let delay = delay.filter(|it| *it >= NOTABLE);
    html! {
        @if let Some(id) = &change.event_id {
            span.id { (foreign(id.as_str(), text::LIST)) }
        } @else {
            "Found by a comparison with the API"
        }
        @if let Some(delay) = delay { small { "stored " (time::duration(delay)) " after it happened" } }
    }
}
