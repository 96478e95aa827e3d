//! The list of users.

use maud::{Markup, html};

use super::{Live, Place, Shell, document, echo, link, pager, text, user_link, user_table};
use crate::page::facts::{UserList, UserQuery};

/// A page of users.
pub(in crate::page) fn users(shell: &Shell, facts: &UserList) -> Markup {
    let query = &facts.query;
    let first = (!query.after.is_empty()).then(|| link_to(query, &query.group, ""));
    let next = facts.next.as_deref().map(|next| link_to(query, &query.group, next));
    let body = html! {
        header.head {
            h1 { "Users" }
            p.lead { "Find a person to see whether they have access, and why." }
        }
        (filter(facts))
        @if !query.group.is_empty() { (chip(facts)) }
        div #results data-live {
            @if let Some(id) = &facts.unlisted {
                p.card.note {
                    "No listed user has this id, but it occurred in events: "
                    (user_link(id.as_str(), &text::clean(id.as_str(), text::LIST)))
                }
            }
            section.card {
                @if facts.users.is_empty() {
                    p.empty {
                        @if is_filtered(query) { "No listed user matches." } @else { "There are no users." }
                    }
                } @else {
                    (user_table(&facts.users, Some(&facts.labels), shell.now, "Users"))
                }
            }
            (pager(first.as_deref(), next.as_deref(), "Next users"))
        }
    };
    document(shell, Place::Users, "Users", Live::Changes, &body)
}

fn filter(facts: &UserList) -> Markup {
    let query = &facts.query;
    let is_choice = facts.choices.iter().any(|(id, _)| id.as_str() == query.directory);
    html! {
        form.card.filter role="search" action="users" method="get" {
            div.wide {
                label for="q" { "Name, e-mail address or id" }
                input #q type="search" name="q" value=(echo(&query.q)) autocomplete="off"
                    spellcheck="false" aria-describedby="q-hint";
                small #q-hint { "The start is enough." }
            }
            div {
                label for="directory" { "Directory" }
                select #directory name="directory" {
                    option value="" { "All" }
                    @if !query.directory.is_empty() && !is_choice {
                        option value=(echo(&query.directory)) selected { (text::clean(&query.directory, 40)) }
                    }
                    @for (id, name) in &facts.choices {
                        option value=(id) selected[id.as_str() == query.directory] {
                            (text::clean(&text::label(Some(name), id.as_str()), 40))
                        }
                    }
                }
            }
            div {
                label for="access" { "Access" }
                select #access name="access" {
                    option value="" { "All" }
                    option value="yes" selected[query.access == "yes"] { "Has access" }
                    option value="no" selected[query.access == "no"] { "No access" }
                }
            }
            @if !query.group.is_empty() { input type="hidden" name="group" value=(echo(&query.group)); }
            div.actions {
                button type="submit" { "Search" }
                @if is_filtered(query) { a.button href="users" { "Reset" } }
            }
        }
    }
}

/// The group that the list is restricted to, with a link that removes the restriction.
fn chip(facts: &UserList) -> Markup {
    let id = facts.query.group.as_str();
    let name = text::label(facts.labels.groups.get(id), id);
    html! {
        p.chips {
            span.chip {
                "Only members of " bdi { (name) } " "
                a href=(link_to(&facts.query, "", "")) aria-label="Show users of all groups" { "✕" }
            }
        }
    }
}

fn is_filtered(query: &UserQuery) -> bool {
    [&query.q, &query.directory, &query.group, &query.access].iter().any(|it| !it.is_empty())
}

fn link_to(query: &UserQuery, group: &str, after: &str) -> String {
    // Unchanged: what a page begins after, or is filtered by, must be what the tables contain.
    let values = [query.q.as_str(), &query.directory, group, &query.access, after];
    let names = ["q", "directory", "group", "access", "after"];
    let parameters: Vec<_> = names.into_iter().zip(values).collect();
    link("users", &parameters)
}
