//! The list of groups, and the page of a group.

use maud::{Markup, html};

use super::{
    Live, Place, Shell, directory_link, document, echo, foreign, group_link, link, moment, pager,
    text, user_table, when_cell,
};
use crate::page::facts::{GroupFacts, GroupList};

/// A page of groups.
pub(in crate::page) fn groups(shell: &Shell, facts: &GroupList) -> Markup {
    let directory = echo(&facts.directory);
    let next = facts
        .next
        .as_deref()
        .map(|next| link("groups", &[("directory", &directory), ("after", next)]));
    let body = html! {
        header.head { h1 { "Groups" } }
        (filter(facts))
        div #results data-live {
            section.card {
                @if facts.groups.is_empty() {
                    p.empty { "There are no groups." }
                } @else {
                    (table(shell, facts))
                }
            }
            (pager(None, next.as_deref(), "Next groups"))
        }
    };
    document(shell, Place::Groups, "Groups", Live::Changes, &body)
}

fn filter(facts: &GroupList) -> Markup {
    let is_choice = facts.choices.iter().any(|(id, _)| id.as_str() == facts.directory);
    html! {
        form.card.filter action="groups" method="get" {
            div.wide {
                label for="directory" { "Directory" }
                select #directory name="directory" {
                    option value="" { "All" }
                    @if !facts.directory.is_empty() && !is_choice {
                        option value=(echo(&facts.directory)) selected { (text::clean(&facts.directory, 40)) }
                    }
                    @for (id, name) in &facts.choices {
                        option value=(id) selected[id.as_str() == facts.directory] {
                            (text::clean(&text::label(Some(name), id.as_str()), 40))
                        }
                    }
                }
            }
            div.actions {
                button type="submit" { "Show" }
                @if !facts.directory.is_empty() { a.button href="groups" { "Reset" } }
            }
        }
    }
}

fn table(shell: &Shell, facts: &GroupList) -> Markup {
    html! {
        table.groups {
            caption.visually-hidden { "Groups, sorted by id" }
            thead {
                tr {
                    th scope="col" { "Name" }
                    th scope="col" { "Directory" }
                    th scope="col" { "Updated" }
                }
            }
            tbody {
                @for group in &facts.groups {
                    tr {
                        td { (group_link(group.id.as_str(), &text::group_name(group, text::LIST))) }
                        td data-l="Directory" {
                            @if let Some(id) = &group.directory_id { (directory_link(id, &facts.labels)) }
                            @else { span.none { "unknown" } }
                        }
                        td data-l="Updated" { (when_cell(group.updated_at, shell.now, "unknown")) }
                    }
                }
            }
        }
    }
}

/// The page of a group.
pub(in crate::page) fn group(shell: &Shell, facts: &GroupFacts) -> Markup {
    let group = &facts.group;
    let id = group.id.as_str();
    let next = facts.next.as_deref().map(|next| link("group", &[("id", id), ("after", next)]));
    let name = text::group_name(group, text::LIST);
    let body = html! {
        header.head {
            p.kind { "Group" }
            h1 { bdi { (name) } }
        }
        div #group data-live {
            section.card {
                h2 { "Details" }
                dl.facts {
                    @if let Some(name) = &group.name { div { dt { "Name" } dd { (foreign(name, text::DETAIL)) } } }
                    div { dt { "Id" } dd.id { (foreign(id, text::DETAIL)) } }
                    @if let Some(directory) = &group.directory_id {
                        div { dt { "Directory" } dd { (directory_link(directory, &facts.labels)) } }
                    }
                    @if let Some(idp) = &group.idp_id {
                        div { dt { "Id at the provider" } dd.id { (foreign(idp, text::DETAIL)) } }
                    }
                    @if let Some(organization) = &group.organization_id {
                        div { dt { "Organization" } dd.id { (foreign(organization.as_str(), text::DETAIL)) } }
                    }
                    @if let Some(at) = group.created_at { div { dt { "Created" } dd { (moment(at)) } } }
                    @if let Some(at) = group.updated_at { div { dt { "Updated" } dd { (moment(at)) } } }
                }
                p { a href=(link("users", &[("group", id)])) { "Search its members" } }
            }
            section.card {
                h2 { "Members" }
                @if facts.members.is_empty() {
                    p.empty { "The group has no members." }
                } @else {
                    (user_table(&facts.members, None, shell.now, "Members, sorted by id"))
                }
            }
            (pager(None, next.as_deref(), "Next members"))
        }
    };
    document(shell, Place::Group, &name, Live::Changes, &body)
}
