//! Each page, from sample facts.

mod samples;

use maud::Markup;

use self::samples::{KINDS, World, shell};
use super::*;
use crate::page::facts::{Level, Reason};

const STYLE: &str = include_str!("../style.css");
const SCRIPT: &str = include_str!("../script.js");
/// The most that a page with 50 rows, its style sheet and its script may weigh.
const WEIGHT: usize = 60_000;

fn reasons(text: &str) -> Vec<Reason> {
    vec![
        Reason::Active,
        Reason::Deleted,
        Reason::Absent,
        Reason::DirectoryDeleted,
        Reason::DirectoryAbsent,
        Reason::DirectoryState(text.into()),
        Reason::State(text.into()),
        Reason::NoState,
        Reason::NotSeen,
    ]
}

/// All pages of a world, by name.
fn pages(text: Option<&str>) -> Vec<(String, Markup)> {
    let (shell, world) = (shell(), World(text));
    let mut pages = vec![
        ("overview-good".into(), overview(&shell, &world.overview(Level::InStep))),
        ("overview-unknown".into(), overview(&shell, &world.overview(Level::Unknown))),
        ("overview-bad".into(), overview(&shell, &world.overview(Level::OutOfStep))),
        ("directory".into(), directory(&shell, &world.directory_facts(0))),
        ("directory-warn".into(), directory(&shell, &world.directory_facts(2))),
        ("users".into(), users(&shell, &world.users(50))),
        ("users-none".into(), users(&shell, &world.users(0))),
        ("groups".into(), groups(&shell, &world.groups(50))),
        ("group".into(), group(&shell, &world.group_facts(50))),
        ("changes".into(), changes(&shell, &world.changes(50))),
        ("message".into(), message(&shell, "Not found", "There is no user with this id.")),
    ];
    for (number, reason) in reasons(text.unwrap_or("inactive")).into_iter().enumerate() {
        pages.push((format!("user-{number}"), user(&shell, &world.user_facts(reason))));
    }
    pages
}

/// Writes the pages to the folder that `PAGE_SAMPLES` names, to look at them in a browser.
#[test]
fn write_samples() -> std::io::Result<()> {
    let Some(folder) = std::env::var_os("PAGE_SAMPLES") else { return Ok(()) };
    let folder = std::path::Path::new(&folder);
    std::fs::write(folder.join("style.css"), STYLE)?;
    std::fs::write(folder.join("script.js"), SCRIPT)?;
    let zalgo = "Z\u{0310}\u{0350}\u{033d}a\u{0316}\u{0317}\u{0318}\u{0319}\u{031c}\u{0323}l\u{0334}\u{0335}g\u{0361}o".repeat(9);
    let worlds = [
        ("", None),
        ("script-", Some("<script>alert(1)</script>\"'& \u{202e}desrever")),
        ("long-", Some(&*"W".repeat(10_000))),
        ("zalgo-", Some(&*zalgo)),
    ];
    for (prefix, text) in worlds {
        for (name, page) in pages(text) {
            std::fs::write(folder.join(format!("{prefix}{name}.html")), page.into_string())?;
        }
    }
    Ok(())
}

/// The tags of a document, each with its attributes. Quotes are taken into account, so a `>` in a value ends no tag.
fn tags(html: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some((_, tag)) = rest.split_once('<') {
        let name: String = tag.chars().take_while(|it| !matches!(it, ' ' | '>')).collect();
        rest = &tag[name.len()..];
        let mut attributes = Vec::new();
        while let Some(attribute) = rest.strip_prefix(' ') {
            let end = attribute.find(['=', ' ', '>']).unwrap_or(attribute.len());
            let (key, after) = attribute.split_at(end);
            let quoted = after.strip_prefix("=\"").and_then(|it| it.split_once('"'));
            attributes.push((key.to_owned(), quoted.map_or("", |it| it.0).to_owned()));
            rest = quoted.map_or(after, |it| it.1);
        }
        assert!(rest.starts_with('>'), "{name}: {}", &rest[..rest.len().min(40)]);
        tags.push((name, attributes));
    }
    tags
}

const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)> style=\"x\" \u{202e}\u{2066}\r\n\u{1b}\u{85}&amp;";

#[test]
fn hostile_texts_are_escaped() {
    let usual: Vec<_> =
        pages(None).into_iter().map(|(_, page)| tags(&page.into_string())).collect();
    for ((name, page), usual) in pages(Some(HOSTILE)).into_iter().zip(usual) {
        let page = page.into_string();
        assert!(!page.contains("<script>"), "{name}");
        assert!(!page.contains(['\u{202e}', '\u{2066}', '\r', '\n', '\u{1b}', '\u{85}']), "{name}");
        for (tag, attributes) in tags(&page) {
            assert!(usual.iter().any(|(it, _)| *it == tag) || tag == "bdi", "{name}: {tag}");
            for (key, value) in attributes {
                assert!(key != "style" && !key.starts_with("on"), "{name}: {key}");
                if key == "href" {
                    assert!(!value.contains([':', '/', '<', ' ']), "{name}: {value}");
                }
            }
        }
    }
}

/// The content security policy allows nothing else.
#[test]
fn scripts_and_styles_are_files() {
    for (name, page) in pages(None) {
        for (tag, attributes) in tags(&page.into_string()) {
            let has = |key: &str| attributes.iter().any(|(it, _)| it == key);
            assert!(tag != "style" && tag != "iframe", "{name}: {tag}");
            assert!(tag != "script" || has("src"), "{name}: a script in the page");
            assert!(
                !attributes.iter().any(|(it, _)| it == "style" || it.starts_with("on")),
                "{name}: {tag}"
            );
        }
    }
}

#[test]
fn a_page_has_one_heading_and_unique_ids() {
    for (name, page) in pages(None) {
        let tags = tags(&page.into_string());
        assert_eq!(tags.iter().filter(|(tag, _)| tag == "h1").count(), 1, "{name}");
        let ids = tags.iter().flat_map(|(_, attributes)| attributes).filter(|(key, _)| key == "id");
        let mut ids: Vec<_> = ids.map(|(_, id)| id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}");
        for (tag, attributes) in &tags {
            let has = |key: &str| attributes.iter().any(|(it, _)| it == key);
            assert!(!has("data-live") || has("id"), "{name}: the script can't find {tag}");
        }
    }
}

/// The script must not replace what the reader is typing into.
#[test]
fn no_form_is_live() {
    for (name, page) in pages(None) {
        let page = page.into_string();
        let mut depth = 0;
        let mut live = None;
        for (tag, attributes) in tags(&page) {
            if let Some(closed) = tag.strip_prefix('/') {
                depth -= 1;
                if live == Some(depth) {
                    live = None;
                }
                assert!(closed != "html" || depth == 0, "{name}: {depth}");
                continue;
            }
            assert!(
                live.is_none() || !matches!(&*tag, "form" | "input" | "select"),
                "{name}: {tag}"
            );
            if live.is_none() && attributes.iter().any(|(key, _)| key == "data-live") {
                live = Some(depth);
            }
            if !matches!(&*tag, "!DOCTYPE" | "meta" | "link" | "input" | "br") {
                depth += 1;
            }
        }
    }
}

#[test]
fn long_names_do_not_make_a_page_heavy() {
    let fixed = STYLE.len() + SCRIPT.len();
    assert!(fixed < 20_000, "{fixed}");
    for text in ["W", "ü", "漢", "\u{1f9d1}", "\"", "Z\u{310}\u{350}"] {
        let text = text.repeat(10_000);
        let (shell, world) = (shell(), World(Some(&text)));
        for (name, page) in [
            ("overview", overview(&shell, &world.overview(Level::OutOfStep))),
            ("users", users(&shell, &world.users(50))),
            ("groups", groups(&shell, &world.groups(50))),
            ("group", group(&shell, &world.group_facts(50))),
            ("changes", changes(&shell, &world.changes(50))),
            ("user", user(&shell, &world.user_facts(Reason::State(text.clone())))),
        ] {
            let weight = page.into_string().len() + fixed;
            assert!(
                weight <= WEIGHT,
                "{name}: {weight} of {}",
                text.chars().take(3).collect::<String>()
            );
        }
    }
}

#[test]
fn each_reason_has_words() {
    let mut seen = Vec::new();
    for reason in reasons("suspended") {
        let (because, change) = text::reason(&reason);
        assert!(!because.ends_with('.') && change.ends_with('.'), "{reason:?}");
        let page = user(&shell(), &World(None).user_facts(reason.clone())).into_string();
        assert!(page.contains(&because) && page.contains(change), "{reason:?}");
        let answer = if reason == Reason::Active {
            "</bdi> has access, <"
        } else {
            "</bdi> has no access, <"
        };
        assert!(page.contains(answer), "{reason:?}");
        seen.push(because);
    }
    assert!(seen.iter().filter(|it| it.contains("“suspended”")).count() == 2);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 9);
}

#[test]
fn each_kind_has_words() {
    let mut words: Vec<_> = KINDS.iter().map(|kind| text::kind(*kind).1).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), KINDS.len());
    for kind in KINDS {
        let row = change_row(&World(None).change(4704, kind), &World(None).labels()).into_string();
        assert!(row.starts_with("<tr id=\"c4704\">") && row.ends_with("</tr>"), "{row}");
        assert!(row.contains(text::kind(kind).1), "{row}");
    }
}

/// A row is the data of one server-sent event, which ends at a line break.
#[test]
fn a_row_is_one_line() {
    for kind in KINDS {
        let row =
            change_row(&World(Some(HOSTILE)).change(4704, kind), &World(Some(HOSTILE)).labels());
        assert!(!row.into_string().contains(['\r', '\n']), "{kind}");
    }
}

#[test]
fn the_verdict_is_in_words() {
    for (level, words) in [
        (Level::InStep, "In step with WorkOS"),
        (Level::Unknown, "Not known to be in step"),
        (Level::OutOfStep, "Not in step with WorkOS"),
    ] {
        let page = overview(&shell(), &World(None).overview(level)).into_string();
        assert!(
            page.contains(&format!("<h1>{words}</h1>"))
                && page.contains(&format!("<title>{words} "))
        );
    }
}
