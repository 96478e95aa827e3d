//! Words for kinds, reasons and names. Texts of WorkOS are cleaned and shortened here.

use crate::{
    change::{Change, ChangeKind},
    page::facts::{Count, Level, Reason},
    read::{Directory, Group, User},
};

/// How many characters of a name a list shows.
pub(super) const LIST: usize = 80;
/// How many characters of a text the page about it shows.
pub(super) const DETAIL: usize = 1000;

/// Returns at most this many characters of a text, with an ellipsis if there are more. There are fewer if they take more
/// than five bytes for four characters, so that the weight of a list is limited in all scripts.
///
/// Characters that would reorder or hide the text around them are replaced, so that they can be seen.
pub(super) fn clean(text: &str, limit: usize) -> String {
    let mut budget = limit + limit / 4;
    let mut cleaned = String::new();
    for (index, character) in text.chars().enumerate() {
        let character = visible(character);
        let left = budget.checked_sub(weight(character)).filter(|_| index < limit);
        let Some(left) = left else {
            cleaned.push('…');
            break;
        };
        budget = left;
        cleaned.push(character);
    }
    cleaned
}

/// Returns how many bytes a character takes in HTML.
fn weight(character: char) -> usize {
    match character {
        '<' | '>' => "&lt;".len(),
        '&' => "&amp;".len(),
        '"' => "&quot;".len(),
        _ => character.len_utf8(),
    }
}

/// Replaces a character that can't be seen.
pub(super) fn visible(character: char) -> char {
    match character {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => '\u{fffd}',
        _ if character.is_control() => '\u{fffd}',
        _ => character,
    }
}

/// Returns whether a text would show nothing that one can read or click.
fn is_blank(text: &str) -> bool {
    text.chars().all(|it| {
        it.is_whitespace()
            || matches!(
                it,
                '\u{ad}'
                    | '\u{34f}'
                    | '\u{115f}'
                    | '\u{1160}'
                    | '\u{61c}'
                    | '\u{17b4}'
                    | '\u{17b5}'
                    | '\u{180b}'..='\u{180e}'
                    | '\u{200b}'..='\u{200f}'
                    | '\u{2060}'..='\u{2064}'
                    | '\u{206a}'..='\u{206f}'
                    | '\u{2800}'
                    | '\u{3164}'
                    | '\u{fe00}'..='\u{fe0f}'
                    | '\u{feff}'
                    | '\u{ffa0}'
                    | '\u{e0000}'..='\u{e0fff}'
            )
    })
}

fn readable(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !is_blank(text))
}

/// Returns what a user is called: the name, otherwise the e-mail address, otherwise the id.
pub(super) fn user_name(user: &User, limit: usize) -> String {
    let parts = [user.first_name.as_deref(), user.last_name.as_deref()];
    let joined = parts.into_iter().filter_map(readable).collect::<Vec<_>>().join(" ");
    let name = readable(user.name.as_deref())
        .or_else(|| readable(Some(&joined)))
        .or_else(|| readable(user.email.as_deref()))
        .unwrap_or(user.id.as_str());
    clean(name, limit)
}

pub(super) fn group_name(group: &Group, limit: usize) -> String {
    clean(readable(group.name.as_deref()).unwrap_or(group.id.as_str()), limit)
}

pub(super) fn directory_name(directory: &Directory, limit: usize) -> String {
    clean(readable(directory.name.as_deref()).unwrap_or(directory.id.as_str()), limit)
}

/// Returns the label of an object in a list, or its id if it has none.
pub(super) fn label(label: Option<&String>, id: &str) -> String {
    clean(readable(label.map(String::as_str)).unwrap_or(id), LIST)
}

/// Returns a number with spaces between thousands.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

pub(super) fn count(count: Count) -> String {
    let number = number(count.number);
    if count.is_more { format!("more than {number}") } else { number }
}

/// Whether something is good or bad for the user or the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Plain,
    Warn,
    Bad,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Plain => "plain",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

impl From<Level> for Tone {
    fn from(level: Level) -> Self {
        match level {
            Level::InStep => Self::Good,
            Level::Unknown => Self::Warn,
            Level::OutOfStep => Self::Bad,
        }
    }
}

pub(super) fn verdict(level: Level) -> &'static str {
    match level {
        Level::InStep => "In step with WorkOS",
        Level::Unknown => "Not known to be in step",
        Level::OutOfStep => "Not in step with WorkOS",
    }
}

/// Returns what a kind means in a few words.
pub(super) fn kind(kind: ChangeKind) -> (Tone, &'static str) {
    match kind {
        ChangeKind::DirectoryCreated => (Tone::Plain, "Directory added"),
        ChangeKind::DirectoryDeleted => (Tone::Plain, "Directory removed"),
        ChangeKind::DirectoryRestored => (Tone::Good, "Directory gives access"),
        ChangeKind::DirectoryRevoked => (Tone::Bad, "Directory gives no access"),
        ChangeKind::DirectoryUpdated => (Tone::Plain, "Directory changed"),
        ChangeKind::GroupCreated => (Tone::Plain, "Group added"),
        ChangeKind::GroupDeleted => (Tone::Plain, "Group removed"),
        ChangeKind::GroupUpdated => (Tone::Plain, "Group changed"),
        ChangeKind::MembershipAdded => (Tone::Plain, "Joined a group"),
        ChangeKind::MembershipRemoved => (Tone::Plain, "Left a group"),
        ChangeKind::Other => (Tone::Warn, "Change from a newer version of the crate"),
        ChangeKind::UserCreated => (Tone::Plain, "User added"),
        ChangeKind::UserDeleted => (Tone::Plain, "User removed"),
        ChangeKind::UserGranted => (Tone::Good, "Access granted"),
        ChangeKind::UserRevoked => (Tone::Bad, "Access revoked"),
        ChangeKind::UserUpdated => (Tone::Plain, "User changed"),
    }
}

/// Returns the names of the columns that changed, in words. Empty if the change has none.
pub(super) fn fields(change: &Change) -> String {
    let names = change.fields.iter().map(|name| match name.as_str() {
        "directory_id" => "directory".to_owned(),
        "directory_type" => "type".to_owned(),
        "email" => "e-mail address".to_owned(),
        "idp_id" => "id at the provider".to_owned(),
        "organization_id" => "organization".to_owned(),
        other => clean(other, LIST).replace('_', " "),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Returns what a comparison with the API did about a difference.
pub(super) fn action(action: &str) -> String {
    match action {
        "applied" => "repaired".to_owned(),
        "reported" => "only reported".to_owned(),
        "withheld" => "not removed".to_owned(),
        other => clean(other, LIST),
    }
}

/// Returns why a user has, or has not, access: what follows "because", and what would change it.
pub(super) fn reason(reason: &Reason) -> (String, &'static str) {
    let fixed = |because: &str, change: &'static str| (because.to_owned(), change);
    match reason {
        Reason::Active => fixed(
            "the user is active and the directory gives access",
            "Access ends if the user is deactivated or deleted, or if the directory is.",
        ),
        Reason::Deleted => fixed(
            "the user was deleted",
            "A deleted user does not return. If the person is added to the directory again, WorkOS sends a new user with \
             another id.",
        ),
        Reason::Absent => fixed(
            "the lists of WorkOS's API don't contain the user",
            "Access returns if the API lists the user again: the next event about the user or the next comparison shows it.",
        ),
        Reason::DirectoryDeleted => fixed(
            "the user's directory was deleted",
            "A deleted directory does not return. If the organization connects another one, WorkOS sends new users with \
             other ids.",
        ),
        Reason::DirectoryAbsent => fixed(
            "the lists of WorkOS's API don't contain the user's directory",
            "Access returns if the API lists the directory again: the next comparison shows it. Check that the API key \
             belongs to the environment of this directory.",
        ),
        Reason::DirectoryState(state) => (
            format!(
                "the state of the user's directory is “{}”, which gives no access",
                clean(state, LIST)
            ),
            "Access returns when the directory is active again. Check its connection in the WorkOS dashboard.",
        ),
        Reason::State(state) => (
            format!("the user's state is “{}” instead of “active”", clean(state, LIST)),
            "Access returns when the organization activates the user at its provider.",
        ),
        Reason::NoState => fixed(
            "WorkOS has sent no state for the user",
            "The next event or comparison that contains a state decides.",
        ),
        Reason::NotSeen => fixed(
            "nothing has shown yet that this user exists: the id occurred only in other events, for example the end of a \
             membership",
            "Access depends on the first event about the user, or on the next comparison.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shortened() {
        assert_eq!(clean("Ada", 3), "Ada");
        assert_eq!(clean("Adam", 3), "Ada…");
        // Five bytes, and "&lt;" takes four.
        assert_eq!(clean("üüü", 4), "üü…");
        assert_eq!(clean("<<", 4), "<…");
        assert_eq!(clean("<a", 4), "<a");
        assert_eq!(clean(&"x".repeat(10_000), LIST).chars().count(), LIST + 1);
    }

    #[test]
    fn invisible_characters_are_shown() {
        assert_eq!(
            clean("a\u{202e}b\u{2066}c\n\u{0}\u{7f}\u{9b}d", LIST),
            "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}\u{fffd}\u{fffd}d"
        );
        // Marks that many languages need.
        assert_eq!(clean("\u{200f}\u{200d}é", LIST), "\u{200f}\u{200d}é");
    }

    /// Otherwise there would be nothing to click.
    #[test]
    fn a_name_that_shows_nothing_is_replaced() {
        for blank in ["", " \u{a0}\t", "\u{200b}\u{2060}", "\u{3164}", "\u{e0041}"] {
            assert_eq!(label(Some(&blank.to_owned()), "group_1"), "group_1", "{blank:?}");
        }
        assert_eq!(label(None, "group_1"), "group_1");
        assert_eq!(label(Some(&"Staff".to_owned()), "group_1"), "Staff");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(Count { number: 10_000, is_more: true }), "more than 10\u{202f}000");
    }
}
