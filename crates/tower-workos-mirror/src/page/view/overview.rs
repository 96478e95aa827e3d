//! The first page.

use maud::{Markup, html};
use tower_workos::Timestamp;

use super::{
    Live, Place, Shell,
    directory::{directory_name, status_cell},
    document, foreign, icon, last_event, link, moment, pager,
    text::{self, Tone},
    time, when, when_cell,
};
use crate::{
    change::ChangeKind,
    page::facts::{
        DeadLetters, DirectoryState, Level, Overview, QueueFigures, QueueState, Repair, Verdict,
    },
};

/// The state of everything.
pub(in crate::page) fn overview(shell: &Shell, facts: &Overview) -> Markup {
    let next = facts.next.as_ref().map(|next| link("overview", &[("after", next.as_str())]));
    let body = html! {
        (verdict(&facts.verdict, facts.now))
        (search())
        div.cards #figures data-live {
            (repairs(&facts.repairs, facts.now))
            (events(facts))
        }
        div #queues data-live { (queues(&facts.queues)) }
        div #dead data-live {
            @if !facts.dead_letters.latest.is_empty() { (dead_letters(&facts.dead_letters, facts.now)) }
        }
        section.card #directories data-live {
            h2 { "Directories" }
            @if facts.directories.is_empty() {
                p.empty { "No directory is known yet. It appears after its first event, or after the first comparison." }
            } @else {
                (directories(&facts.directories, facts.now))
            }
            (pager(None, next.as_deref(), "Next directories"))
        }
    };
    document(shell, Place::Overview, text::verdict(facts.verdict.level), Live::Clock, &body)
}

fn search() -> Markup {
    html! {
        form.card.filter role="search" action="users" method="get" {
            div.wide {
                label for="q" { "Does a person have access, and why? Enter the start of a name, an e-mail address or an id." }
                input #q type="search" name="q" autocomplete="off" spellcheck="false";
            }
            div.actions { button type="submit" { "Search" } }
        }
    }
}

fn verdict(verdict: &Verdict, now: Timestamp) -> Markup {
    let tone = Tone::from(verdict.level);
    html! {
        section.verdict.(tone.class()) #verdict data-live {
            (icon(tone))
            div {
                h1 { (text::verdict(verdict.level)) }
                p {
                    @match (verdict.since, verdict.level) {
                        (Some(since), Level::InStep) => {
                            "The tables agreed with WorkOS's API " (when(since, now)) " (" (moment(since)) ")."
                        },
                        (Some(since), _) => {
                            "The latest successful comparison with WorkOS's API ended " (when(since, now)) " (" (moment(since)) ")."
                        },
                        (None, _) => { "No comparison with WorkOS's API has succeeded." },
                    }
                }
                @if !verdict.problems.is_empty() {
                    ul.problems {
                        @for problem in &verdict.problems {
                            li.(Tone::from(problem.level).class()) {
                                strong { bdi { (text::clean(&problem.text, text::DETAIL)) } }
                                p { bdi { (text::clean(&problem.hint, text::DETAIL)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn repairs(repairs: &[Repair], now: Timestamp) -> Markup {
    let title = |text: &str, repair: Option<&Repair>| {
        let environment = repair.filter(|_| repairs.len() > 1).map(|it| it.environment.as_str());
        html! { h2 { (text) @if let Some(name) = environment { small { (foreign(name, 40)) } } } }
    };
    let cards = |repair: Option<&Repair>| {
        let drained_at = repair.and_then(|it| it.drained_at);
        html! {
            section.card {
                (title("Compared with the API", repair))
                (figure(repair.and_then(|it| it.last_success), now, "never"))
                @if let Some(repair) = repair { (comparison(repair, now)) }
            }
            section.card {
                (title("Events API read to its end", repair))
                (figure(drained_at, now, "never"))
                @if drained_at.is_none() { p.lead { "No poller has read it, or it has not finished yet." } }
            }
        }
    };
    html! {
        @for repair in repairs { (cards(Some(repair))) }
        @if repairs.is_empty() { (cards(None)) }
    }
}

fn comparison(repair: &Repair, now: Timestamp) -> Markup {
    html! {
        dl.facts {
            @if repair.last_run.is_some() && !repair.is_complete {
                div { dt { "Last run" } dd { (when_cell(repair.last_run, now, "")) small { "not complete" } } }
            }
            div { dt { "Differences" } dd { (drift(repair)) } }
        }
    }
}

/// The most important time of a card.
fn figure(time: Option<Timestamp>, now: Timestamp, otherwise: &str) -> Markup {
    html! { p.figure { (when_cell(time, now, otherwise)) } }
}

fn drift(repair: &Repair) -> Markup {
    html! {
        @if repair.drift.is_empty() {
            @if repair.last_run.is_some() { "none" } @else { span.none { "not known" } }
        } @else {
            ul.plain {
                @for drift in &repair.drift {
                    @let kind = ChangeKind::from_name(&drift.kind).unwrap_or(ChangeKind::Other);
                    li {
                        (text::number(drift.count)) " × " (text::kind(kind).1.to_lowercase()) ", "
                        bdi { (text::action(&drift.action)) }
                    }
                }
            }
        }
    }
}

fn events(facts: &Overview) -> Markup {
    let event = facts.last_event.as_ref();
    html! {
        section.card {
            h2 { "Last event" }
            (figure(event.map(|it| it.arrived_at), facts.now, "none yet"))
            dl.facts {
                @if let Some(event) = event {
                    div { dt { "Event" } dd { (foreign(&event.name, text::LIST)) } }
                    @if let Some(at) = event.happened_at {
                        div { dt { "Delay" } dd { (time::duration(time::between(at, event.arrived_at))) } }
                    }
                }
                div { dt { "Dead letters" } dd { (text::number(facts.dead_letters.count)) } }
            }
        }
    }
}

fn queues(queues: &[QueueState]) -> Markup {
    html! {
        @if !queues.is_empty() {
            section.card {
                h2 { "Queues" }
                table.queues {
                    caption.visually-hidden { "Queues" }
                    thead {
                        tr {
                            th scope="col" { "Name" }
                            th scope="col" { "Waiting" }
                            th scope="col" { "Oldest" }
                            th scope="col" { "Failed" }
                        }
                    }
                    tbody {
                        @for queue in queues {
                            tr {
                                th scope="row" { (foreign(&queue.name, 40)) }
                                @if let Some(figures) = &queue.status { (queue_cells(figures)) }
                                @else { td colspan="3" { "Its storage did not respond." } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn queue_cells(figures: &QueueFigures) -> Markup {
    html! {
        td data-l="Waiting" { (text::number(figures.depth)) }
        td data-l="Oldest" {
            @if let Some(age) = figures.oldest_age { (time::duration(age)) } @else { span.none { "none" } }
        }
        td data-l="Failed" { (text::number(figures.dead)) }
    }
}

fn dead_letters(letters: &DeadLetters, now: Timestamp) -> Markup {
    html! {
        section.card {
            h2 { "Dead letters" small { (text::number(letters.count)) } }
            p.lead { "Events that could not be stored in the tables. They can be replayed after the cause is fixed." }
            table.dead {
                caption.visually-hidden { "The latest dead letters" }
                thead {
                    tr {
                        th scope="col" { "Arrived" }
                        th scope="col" { "Event" }
                        th scope="col" { "Reason" }
                    }
                }
                tbody {
                    @for letter in &letters.latest {
                        tr {
                            td { (when_cell(Some(letter.arrived_at), now, "")) }
                            td {
                                (foreign(letter.name.as_deref().unwrap_or("unknown"), text::LIST))
                                @if let Some(id) = &letter.event_id { small.id { (foreign(id.as_str(), text::LIST)) } }
                            }
                            td { (foreign(&letter.reason, 300)) }
                        }
                    }
                }
            }
        }
    }
}

fn directories(directories: &[DirectoryState], now: Timestamp) -> Markup {
    html! {
        table.directories {
            caption.visually-hidden { "Directories, sorted by id" }
            thead {
                tr {
                    th scope="col" { "Name" }
                    th scope="col" { "Access" }
                    th scope="col" { "Last event" }
                    th scope="col" { "Compared with the API" }
                }
            }
            tbody {
                @for state in directories {
                    tr {
                        td {
                            a href=(link("directory", &[("id", state.id.as_str())])) {
                                bdi { (directory_name(state)) }
                            }
                            @if let Some(kind) = state.listed.as_ref().and_then(|it| it.directory_type.as_ref()) {
                                small { (foreign(kind.as_str(), 40)) }
                            }
                        }
                        td { (status_cell(state)) }
                        td data-l="Last event" { (last_event(state.last_event.as_ref(), now)) }
                        td data-l="Compared" { (when_cell(state.compared_at, now, "never")) }
                    }
                }
            }
        }
    }
}
