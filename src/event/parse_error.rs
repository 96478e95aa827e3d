//! The error for a genuine body that is not an event.

use std::{error::Error, fmt, sync::Arc};

use bytes::Bytes;

use crate::event::id::EventId;

/// The error for a genuine body that can't be read as an event. It contains the body and the reason.
///
/// The layer returns it in [`Rejection::parse_error`](crate::Rejection::parse_error). A retry can't help, because WorkOS
/// sends the same bytes again, and stops after some days. An application that must not lose any event stores the bytes, and
/// reads them with [`DirectoryEvent::parse`](crate::DirectoryEvent::parse) once a later version can.
///
/// `Display` says what is wrong, for example ``event "event_01…" (dsync.user.deleted): `data.id` is missing or not a
/// non-empty string``. Neither it nor `Debug` shows anything else from the body. The id and the name are escaped, and
/// truncated after 64 characters.
///
/// Cloning it increments a reference count.
#[derive(Clone, PartialEq, Eq)]
pub struct ParseError(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    unread: Unread,
    raw: Bytes,
}

impl ParseError {
    pub(super) fn new(unread: Unread, raw: Bytes) -> Self {
        Self(Arc::new(Inner { unread, raw }))
    }

    /// The body is not the one that was verified.
    pub(crate) fn other_length(verified: usize, raw: Bytes) -> Self {
        let fault = Fault::Length { verified, given: raw.len() };
        Self::new(Unread { id: None, name: None, fault }, raw)
    }

    /// The event's id, if it could be read.
    #[must_use]
    pub fn id(&self) -> Option<&EventId> {
        self.0.unread.id.as_ref()
    }

    /// The event's name, for example `dsync.user.created`, if it could be read.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.unread.name.as_deref()
    }

    /// The field that makes the body unreadable: one of `id`, `event`, `data`, `data.id`, `data.user`, `data.user.id`,
    /// `data.group` and `data.group.id`. `None` if the body is not a JSON object at all.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self.0.unread.fault {
            Fault::Field { path, .. } => Some(path),
            Fault::Length { .. }
            | Fault::NotAnObject
            | Fault::NotUtf8 { .. }
            | Fault::Syntax { .. } => None,
        }
    }

    /// What is wrong, without the id and the name of the event.
    #[must_use]
    pub fn reason(&self) -> impl fmt::Display {
        self.0.unread.fault
    }

    /// The exact bytes of the body.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.0.raw
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.0.unread.fault;
        match (self.id(), self.name().map(Excerpt)) {
            (Some(id), Some(name)) => {
                write!(f, "event \"{}\" ({name}): {fault}", Excerpt(id.as_str()))
            }
            (Some(id), None) => write!(f, "event \"{}\": {fault}", Excerpt(id.as_str())),
            (None, Some(name)) => write!(f, "event ({name}): {fault}"),
            (None, None) => fault.fmt(f),
        }
    }
}

impl Error for ParseError {}

impl fmt::Debug for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ParseError").field(&format_args!("{self}")).finish()
    }
}

/// Why a body is not an event, with the parts of it that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) id: Option<EventId>,
    pub(super) name: Option<Box<str>>,
    pub(super) fault: Fault,
}

/// Why a body is not an event: only positions and names known to this crate, none of the body's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A field that every event needs.
    Field { path: &'static str, expected: &'static str },
    /// Not the body that was verified.
    Length { verified: usize, given: usize },
    /// JSON, but not an object.
    NotAnObject,
    /// The first byte that is not UTF-8.
    NotUtf8 { at: usize },
    /// The first byte that is not JSON.
    Syntax { at: usize },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { path, expected } => write!(f, "`{path}` is missing or not {expected}"),
            Self::Length { verified, given } => write!(
                f,
                "the body has {given} bytes, but {verified} bytes were verified; pass the body that was verified"
            ),
            Self::NotAnObject => f.write_str("the body is not a JSON object"),
            Self::NotUtf8 { at } => write!(f, "the body is not UTF-8 at byte {at}"),
            Self::Syntax { at } => write!(f, "the body is not JSON at byte {at}"),
        }
    }
}

/// Text from a body that can be shown in logs and errors: escaped, and truncated.
pub(crate) struct Excerpt<'t>(pub(crate) &'t str);

impl Excerpt<'_> {
    /// In characters. Ids of WorkOS have up to 41.
    const LONGEST: usize = 64;
}

/// In quotes.
impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(Self::LONGEST).map(|(at, _)| at);
        let shown = end.and_then(|end| self.0.get(..end)).unwrap_or(self.0);
        write!(f, "{}{}", shown.escape_debug(), if end.is_some() { "…" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable(id: Option<&str>, name: Option<&str>, fault: Fault) -> ParseError {
        let unread = Unread { id: id.map(Into::into), name: name.map(Into::into), fault };
        ParseError::new(unread, Bytes::from_static(b"payload_canary"))
    }

    #[test]
    fn messages_name_the_event() {
        let fault = Fault::Field { path: "data.id", expected: "a non-empty string" };
        let reason = "`data.id` is missing or not a non-empty string";
        for (id, name, message) in [
            (
                Some("event_1"),
                Some("dsync.deleted"),
                format!("event \"event_1\" (dsync.deleted): {reason}"),
            ),
            (Some("event_1"), None, format!("event \"event_1\": {reason}")),
            (None, Some("dsync.deleted"), format!("event (dsync.deleted): {reason}")),
            (None, None, reason.to_owned()),
        ] {
            let event = unreadable(id, name, fault);
            assert_eq!(event.to_string(), message);
            assert_eq!(format!("{event:?}"), format!("ParseError({message})"));
            assert_eq!(event.reason().to_string(), reason);
            assert_eq!(event.path(), Some("data.id"));
        }
    }

    #[test]
    fn text_from_the_body_is_escaped_and_truncated() {
        let event = unreadable(Some("e\n\u{1b}\"\u{202e}"), Some("x\r\n"), Fault::NotAnObject);
        assert_eq!(
            event.to_string(),
            r#"event "e\n\u{1b}\"\u{202e}" (x\r\n): the body is not a JSON object"#
        );
        let exactly = "é".repeat(64);
        assert_eq!(Excerpt(&exactly).to_string(), exactly);
        assert_eq!(Excerpt(&format!("{exactly}é")).to_string(), format!("{exactly}…"));
    }

    #[test]
    fn a_body_that_is_not_an_object_has_no_path() {
        for (fault, reason) in [
            (Fault::NotAnObject, "the body is not a JSON object"),
            (Fault::NotUtf8 { at: 7 }, "the body is not UTF-8 at byte 7"),
            (Fault::Syntax { at: 7 }, "the body is not JSON at byte 7"),
        ] {
            let event = unreadable(None, None, fault);
            assert_eq!((event.path(), event.to_string().as_str()), (None, reason));
        }
    }
}
