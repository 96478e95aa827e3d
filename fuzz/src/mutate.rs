//! Mutations that keep JSON valid: duplicate keys, escapes, decoys, values of other types.
//!
//! The default mutations of libFuzzer break the syntax nearly always, and then only the syntax check is tested.

use crate::json::{Kind, Node};

/// Replacements for values.
const VALUES: [&str; 29] = [
    "null",
    "true",
    "7",
    "-0.5e+10",
    "1e999",
    "\"\"",
    "\"active\"",
    "\"inactive\"",
    "\"linked\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"2024-02-29T23:59:59.5Z\"",
    "\"2023-02-29 00:00:00\"",
    "\"2021-06-25T19:07:33.155+02:00\"",
    "[]",
    "{}",
    "[null]",
    "{\"id\":\"x\"}",
    "{\"state\":\"inactive\"}",
    "\"member\"",
    "1768478400000",
    "[null,{\"slug\":\"a\"},7]",
    "[\"foo.com\",{\"id\":\"x\",\"domain\":7}]",
    "\"Ann \\ud83d\"",
    "\"dsync.user.updated\"",
    "\"dsync.group.user_added\"",
    "\"dsync.activated\"",
    "\"event_01ARZ3NDEKTSV4RRFFQ69G5FAV\"",
    "\"event_81ARZ3NDEKTSV4RRFFQ69G5FAV\"",
];

/// Replacements for keys, and keys of added fields.
const KEYS: [&str; 24] = [
    "\"id\"",
    "\"event\"",
    "\"data\"",
    "\"created_at\"",
    "\"context\"",
    "\"state\"",
    "\"st\\u0061te\"",
    "\"previous_attributes\"",
    "\"custom_attributes\"",
    "\"roles\"",
    "\"role\"",
    "\"slug\"",
    "\"user\"",
    "\"group\"",
    "\"domains\"",
    "\"emails\"",
    "\"actor\"",
    "\"idp_id\"",
    "\"email\"",
    "\"primary\"",
    "\"updated_at\"",
    "\"organization_id\"",
    "\"directory_id\"",
    "\"\\ud800\"",
];

/// Mutates a JSON text in place and returns its new length. Returns `None` to leave the mutation to libFuzzer: half of
/// the time, and if the text isn't JSON or would become too long.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> Option<usize> {
    let mut random = Random(u64::from(seed) | 1 << 32);
    if random.below(2) == 0 {
        return None;
    }
    let text = std::str::from_utf8(data.get(..size)?).ok()?;
    let mut places = Places::default();
    places.collect(&Node::read(text).ok()?);
    let changed = change(text, &places, &mut random)?;
    let length = changed.len();
    if length > max_size {
        return None;
    }
    data.get_mut(..length)?.copy_from_slice(changed.as_bytes());
    Some(length)
}

/// The start and end offsets of a part of the text.
type Span = (usize, usize);

#[derive(Default)]
struct Places {
    values: Vec<Span>,
    keys: Vec<Span>,
    fields: Vec<Span>,
    /// The offsets after the opening brace of each object that isn't empty.
    objects: Vec<usize>,
}

impl Places {
    fn collect(&mut self, node: &Node<'_>) {
        let span = |node: &Node<'_>| (node.at, node.at + node.text.len());
        self.values.push(span(node));
        match &node.kind {
            Kind::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Kind::Object(fields) => {
                if !fields.is_empty() {
                    self.objects.push(node.at + 1);
                }
                for field in fields {
                    self.keys.push(span(&field.key));
                    self.fields.push((field.key.at, span(&field.value).1));
                    self.collect(&field.value);
                }
            }
            _ => {}
        }
    }
}

fn change(text: &str, places: &Places, random: &mut Random) -> Option<String> {
    let of = |(from, to): Span| text.get(from..to);
    let replace =
        |(from, to): Span, with: &str| Some([text.get(..from)?, with, text.get(to..)?].concat());
    let value = random.pick(&places.values)?;
    match random.below(9) {
        0 => replace(value, of(random.pick(&places.values)?)?),
        1 => replace(value, random.pick(&VALUES)?),
        2 => replace(random.pick(&places.keys)?, random.pick(&KEYS)?),
        // Copies a field to the start of the same or, as a decoy, of another object.
        3 => {
            let field = of(random.pick(&places.fields)?)?;
            let object = random.pick(&places.objects)?;
            replace((object, object), &format!("{field},"))
        }
        4 => {
            let field = format!(",{}:{}", random.pick(&KEYS)?, random.pick(&VALUES)?);
            let end = random.pick(&places.fields)?.1;
            replace((end, end), &field)
        }
        5 => {
            let (from, to) = random.pick(&places.fields)?;
            let comma = text.get(to..)?.starts_with(',');
            replace((from, to + usize::from(comma)), "")
        }
        // Adds a duplicate key with another value.
        6 => {
            let field = random.pick(&places.fields)?;
            let key = of(places.keys.iter().copied().find(|key| key.0 == field.0)?)?;
            let null = random.below(3) == 0;
            let value = if null { "null" } else { random.pick(&VALUES)? };
            replace((field.1, field.1), &format!(",{key}:{value}"))
        }
        // Escapes one character.
        7 => {
            let (from, to) = random.pick(&places.keys)?;
            let string = if random.below(2) == 0 { (from, to) } else { value };
            let at = string.0 + random.below(string.1 - string.0);
            let byte = text.as_bytes().get(at).copied().filter(u8::is_ascii_alphanumeric)?;
            replace((at, at + 1), &format!("\\u{byte:04x}"))
        }
        _ => {
            let space = random.pick(&[" ", "\n", "\t", "\r\n", "  \n"])?;
            replace((value.0, value.0), space)
        }
    }
}

/// A SplitMix64 generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(mixed % limit).unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        let at = self.below(items.len());
        items.get(at).copied()
    }
}
