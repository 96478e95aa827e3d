//! JSON that stays as it was written: one value is changed, or only its looks.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap as _,
};
use serde_json::value::RawValue;
use tower_workos::Timestamp;

/// Sets the value at a path of keys and list places, as `data.email` or `data.roles.0.slug`. What is not there is added;
/// everything else stays as it is, in its order.
pub(crate) fn set(json: &str, path: &str, value: &RawValue) -> Result<String, String> {
    let keys: Vec<_> = path.split('.').collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(format!("`{path}` is not a path such as data.email"));
    }
    set_at(json, &keys, value).map_err(|at| {
        let place = keys.get(..at).unwrap_or_default().join(".");
        let what = if place.is_empty() { "the body".to_owned() } else { format!("`{place}`") };
        format!("can't set `{path}`: {what} is not an object, nor a list with such a place")
    })
}

/// A value as it is typed: JSON where it is JSON, else text.
pub(crate) fn value(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.trim().to_owned()).unwrap_or_else(|_| self::text(text))
}

/// A text as JSON.
pub(crate) fn text(text: &str) -> Box<RawValue> {
    // A string is always JSON.
    serde_json::value::to_raw_value(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A time as WorkOS writes it: with three digits of milliseconds.
pub(crate) fn time(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_unix_millis()).unwrap_or_default();
    format!("{time:.3}")
}

/// The error is how many keys led somewhere.
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

/// An object in its own order.
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

/// How a JSON writer spells.
#[derive(Clone, Copy, Default)]
pub(crate) struct Style {
    /// Spaces of indentation; `None` is all on one line.
    pub(crate) indent: Option<usize>,
    /// A space after each colon and, on one line, each comma.
    pub(crate) spaced: bool,
    /// Everything beyond ASCII as `\uXXXX`.
    pub(crate) ascii: bool,
    /// `/` as `\/`.
    pub(crate) slashes: bool,
}

/// The same JSON as another program would write it, keys in the same order, numbers as they are. `None` where it is no
/// JSON.
pub(crate) fn restyle(json: &str, style: Style) -> Option<String> {
    serde_json::from_str::<&RawValue>(json).ok()?;
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth: usize = 0;
    let mut rest = json;
    let break_line = |out: &mut String, depth: usize| {
        if let Some(indent) = style.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    };
    while let Some(c) = rest.chars().next() {
        let (token, after) = rest.split_at(token_length(rest, c));
        rest = after;
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                out.push(c);
                let inner = rest.trim_start();
                if inner.starts_with(['}', ']']) {
                    out.push_str(inner.get(..1).unwrap_or_default());
                    rest = inner.get(1..).unwrap_or_default();
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                if style.indent.is_some() {
                    break_line(&mut out, depth);
                } else if style.spaced {
                    out.push(' ');
                }
            }
            ':' => {
                out.push(c);
                if style.spaced || style.indent.is_some() {
                    out.push(' ');
                }
            }
            '"' => restyle_text(&mut out, token, style)?,
            _ => out.push_str(token),
        }
    }
    Some(out)
}

/// How long the token is that begins the text, which is valid JSON.
fn token_length(text: &str, first: char) -> usize {
    if first == '"' {
        let mut escaped = false;
        let end = text.char_indices().skip(1).find(|&(_, c)| {
            let end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            end
        });
        return end.map_or(text.len(), |(place, _)| place + 1);
    }
    if matches!(first, '{' | '}' | '[' | ']' | ',' | ':') {
        return 1;
    }
    let space = first.is_ascii_whitespace();
    let ends = |c: char| {
        c.is_ascii_whitespace() != space || matches!(c, '{' | '}' | '[' | ']' | ',' | ':' | '"')
    };
    text.find(ends).unwrap_or(text.len())
}

fn restyle_text(out: &mut String, token: &str, style: Style) -> Option<()> {
    let text: String = serde_json::from_str(token).ok()?;
    for c in serde_json::to_string(&text).ok()?.chars() {
        if style.ascii && !c.is_ascii() {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else if style.slashes && c == '/' {
            out.push_str("\\/");
        } else {
            out.push(c);
        }
    }
    Some(())
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
            "can't set `b.x`: `b` is not an object, nor a list with such a place"
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
            restyle(json, Style { spaced: true, ascii: true, slashes: true, ..style }).unwrap(),
            r#"{"a": [1, 2.50, {}, []], "\u00e9\/\"": {"b": "\ud83e\udd80 : , {"}, "t": true}"#
        );
        let pretty = restyle(json, Style { indent: Some(2), ..style }).unwrap();
        let value: serde_json::Value = serde_json::from_str(r#"{"a":[1,2.50,{},[]]}"#).unwrap();
        assert_eq!(
            restyle(r#"{"a":[1,2.5,{},[]]}"#, Style { indent: Some(2), ..style }).unwrap(),
            serde_json::to_string_pretty(&value).unwrap()
        );
        assert_eq!(restyle(&pretty, style).unwrap(), restyle(json, style).unwrap());
        assert_eq!(restyle("{", style), None);
    }
}
