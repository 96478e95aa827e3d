//! Edits and reformats JSON text. The order of the keys and the digits of the numbers stay as they are.
//!
//! The features `preserve_order` and `arbitrary_precision` of serde_json would need less code, but they don't fit: Cargo
//! would enable them for `tower-workos` too, so that the tests of this package would use another parser than applications
//! do. A `serde_json::Value` also loses duplicate keys and the escapes in texts that `--set` must not change.

use std::{fmt, io};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::{Error as _, SerializeMap as _},
};
use serde_json::{
    Value,
    ser::{Formatter, PrettyFormatter},
    value::RawValue,
};
use tower_workos::Timestamp;

/// Sets the value at a path of keys and list indexes, such as `data.email` or `data.roles.0.slug`. Missing keys are added.
/// Everything else stays as it is.
pub(crate) fn set(json: &str, path: &str, value: &RawValue) -> Result<String, String> {
    let keys: Vec<_> = path.split('.').collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(format!("`{path}` is not a path: give one such as data.email"));
    }
    set_at(json, &keys, value).map_err(|at| {
        let place = keys.get(..at).unwrap_or_default().join(".");
        let what = if place.is_empty() { "the body".to_owned() } else { format!("`{place}`") };
        format!("can't set `{path}`: {what} is neither an object nor a list with this index")
    })
}

/// Returns the text itself if it is JSON; otherwise a JSON string.
pub(crate) fn value(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.trim().to_owned()).unwrap_or_else(|_| self::text(text))
}

/// Returns the text as a JSON string.
pub(crate) fn text(text: &str) -> Box<RawValue> {
    // A string always serializes.
    serde_json::value::to_raw_value(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Formats a time as WorkOS does: with three digits of milliseconds.
pub(crate) fn time(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_unix_millis()).unwrap_or_default();
    format!("{time:.3}")
}

/// The error is the number of keys that could be followed.
fn set_at(json: &str, keys: &[&str], value: &RawValue) -> Result<String, usize> {
    let Some((key, rest)) = keys.split_first() else {
        return Ok(value.get().to_owned());
    };
    let set_in = |old: &str| {
        let old = if old == "null" { "{}" } else { old };
        let new = set_at(old, rest, value).map_err(|at| at + 1)?;
        RawValue::from_string(new).map_err(|_| 0_usize)
    };
    if let Ok(mut object) = serde_json::from_str::<Object>(json) {
        match object.0.iter_mut().rev().find(|(known, _)| known == key) {
            Some((_, old)) => *old = set_in(old.get())?,
            None => object.0.push(((*key).to_owned(), set_in("{}")?)),
        }
        return serde_json::to_string(&object).map_err(|_| 0);
    }
    let mut list: Vec<Box<RawValue>> = serde_json::from_str(json).map_err(|_| 0_usize)?;
    let place: usize = key.parse().map_err(|_| 0_usize)?;
    let old = list.get_mut(place).ok_or(0_usize)?;
    *old = set_in(old.get())?;
    serde_json::to_string(&list).map_err(|_| 0)
}

/// An object that keeps the order of its keys.
struct Object(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// How a program writes JSON.
#[derive(Clone, Copy, Default)]
pub(crate) struct Style {
    pub(crate) layout: Layout,
    /// Every character beyond ASCII is written as `\uXXXX`.
    pub(crate) ascii: bool,
    /// `/` is written as `\/`.
    pub(crate) slashes: bool,
}

/// The white space between the tokens.
#[derive(Clone, Copy, Default)]
pub(crate) enum Layout {
    /// No white space.
    #[default]
    Compact,
    /// One member or item on each line, indented with this text.
    Indented(&'static str),
    /// One line, with a space after each colon and comma.
    Spaced,
}

/// Rewrites JSON in another style. Returns `None` if the text is not JSON.
pub(crate) fn restyle(json: &str, style: Style) -> Option<String> {
    // A `Value` limits the depth, and so the recursion of `Node`.
    serde_json::from_str::<Value>(json).ok()?;
    let root = Node(serde_json::from_str(json).ok()?);
    let mut out = Vec::with_capacity(json.len() * 2);
    match style.layout {
        Layout::Compact => root.serialize(&mut serde_json::Serializer::new(&mut out)),
        Layout::Indented(indent) => {
            let formatter = PrettyFormatter::with_indent(indent.as_bytes());
            root.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
        }
        Layout::Spaced => {
            root.serialize(&mut serde_json::Serializer::with_formatter(&mut out, SpacedFormatter))
        }
    }
    .ok()?;
    let mut text = String::from_utf8(out).ok()?;
    // Slashes and characters beyond ASCII occur only inside strings.
    if style.slashes {
        text = text.replace('/', "\\/");
    }
    if style.ascii {
        let mut units = [0; 2];
        let escape = |c: char| match c {
            _ if c.is_ascii() => c.to_string(),
            _ => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        };
        text = text.chars().map(escape).collect();
    }
    Some(text)
}

/// A value that serializes its keys in their order and its numbers digit by digit.
struct Node<'a>(&'a RawValue);

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = self.0.get();
        match json.as_bytes().first() {
            Some(b'{') => {
                let object: Object = serde_json::from_str(json).map_err(S::Error::custom)?;
                serializer.collect_map(object.0.iter().map(|(key, value)| (key, Node(value))))
            }
            Some(b'[') => {
                let list: Vec<&RawValue> = serde_json::from_str(json).map_err(S::Error::custom)?;
                serializer.collect_seq(list.into_iter().map(Node))
            }
            Some(b'"') => {
                let text: String = serde_json::from_str(json).map_err(S::Error::custom)?;
                serializer.serialize_str(&text)
            }
            _ => self.0.serialize(serializer),
        }
    }
}

struct SpacedFormatter;

impl Formatter for SpacedFormatter {
    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.begin_array_value(out, first)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_one_value_and_leaves_the_rest() {
        let json = r#"{"b":1.50,"a":{"é":[{"x":null},2]},"b2":"\u00e9"}"#;
        let set = |path, text| set(json, path, &value(text));
        assert_eq!(set("b", "7").unwrap(), r#"{"b":7,"a":{"é":[{"x":null},2]},"b2":"\u00e9"}"#);
        assert_eq!(
            set("a.é.0.x", "text").unwrap(),
            r#"{"b":1.50,"a":{"é":[{"x":"text"},2]},"b2":"\u00e9"}"#
        );
        assert_eq!(
            set("a.new.deep", "null").unwrap(),
            r#"{"b":1.50,"a":{"é":[{"x":null},2],"new":{"deep":null}},"b2":"\u00e9"}"#
        );
        assert_eq!(
            set("b.x", "1").unwrap_err(),
            "can't set `b.x`: `b` is neither an object nor a list with this index"
        );
        assert!(set("a.é.2", "1").is_err() && set("a..b", "1").is_err() && set("", "1").is_err());
    }

    #[test]
    fn values_are_json_or_text() {
        for (text, json) in [
            ("5", "5"),
            ("\"5\"", "\"5\""),
            ("a b", "\"a b\""),
            ("", "\"\""),
            ("{\"a\":1}", "{\"a\":1}"),
            ("é\"", r#""é\"""#),
        ] {
            assert_eq!(value(text).get(), json, "{text}");
        }
    }

    #[test]
    fn writes_as_others_do() {
        let json =
            "{ \"a\" :[1 ,2.50,{},[ ]],\"é/\\\"\":{\"b\":\"\\ud83e\\udd80 : , {\"} ,\"t\":true}";
        let style = Style::default();
        assert_eq!(
            restyle(json, style).unwrap(),
            r#"{"a":[1,2.50,{},[]],"é/\"":{"b":"🦀 : , {"},"t":true}"#
        );
        assert_eq!(
            restyle(json, Style { layout: Layout::Spaced, ascii: true, slashes: true }).unwrap(),
            r#"{"a": [1, 2.50, {}, []], "\u00e9\/\"": {"b": "\ud83e\udd80 : , {"}, "t": true}"#
        );
        let indented = Style { layout: Layout::Indented("  "), ..style };
        let pretty = restyle(json, indented).unwrap();
        let value: Value = serde_json::from_str(r#"{"a":[1,2.50,{},[]]}"#).unwrap();
        assert_eq!(
            restyle(r#"{"a":[1,2.5,{},[]]}"#, indented).unwrap(),
            serde_json::to_string_pretty(&value).unwrap()
        );
        assert_eq!(restyle(&pretty, style).unwrap(), restyle(json, style).unwrap());
        assert_eq!(restyle("{", style), None);
        // Too deep for recursion.
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(restyle(&deep, style), None);
    }
}
