//! A simple parser of JSON as RFC 8259 defines it. It loses nothing: each value has its text and position.

use serde_json::{Map, Value};

/// Limits the recursion of the parser.
const MAX_DEPTH: usize = 200;

/// A value and its source text.
#[derive(Clone, Debug)]
pub struct Node<'t> {
    /// Its text, without surrounding white space.
    pub text: &'t str,
    /// The offset of the text in the whole input.
    pub at: usize,
    /// The value.
    pub kind: Kind<'t>,
}

/// The kinds of value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Kind<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, of any size.
    Number,
    /// A string; `None` if its escapes contain an unpaired surrogate.
    String(Option<String>),
    /// An array.
    Array(Vec<Node<'t>>),
    /// An object: its fields in order. Keys can occur more than once.
    Object(Vec<Field<'t>>),
}

/// A field of an object.
#[derive(Clone, Debug)]
pub struct Field<'t> {
    /// The key, a string.
    pub key: Node<'t>,
    /// The value.
    pub value: Node<'t>,
}

impl Field<'_> {
    /// The key as text; `None` if its escapes contain an unpaired surrogate.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_str()
    }
}

/// Why a text can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It isn't JSON.
    Syntax,
    /// It is nested too deeply for this parser; it may be JSON.
    Depth,
}

impl<'t> Node<'t> {
    /// Parses a whole text.
    ///
    /// # Errors
    ///
    /// If it isn't JSON or is nested too deeply.
    pub fn read(text: &'t str) -> Result<Self, Fault> {
        let mut reader = Reader::new(text);
        let node = reader.value(0)?;
        reader.white_space();
        if reader.at == text.len() { Ok(node) } else { Err(Fault::Syntax) }
    }

    /// The text with each escape of an unpaired surrogate replaced by `\\ufffd`.
    ///
    /// # Errors
    ///
    /// As [`Node::read`].
    pub fn without_halves(text: &str) -> Result<String, Fault> {
        let mut reader = Reader::new(text);
        reader.value(0)?;
        let mut bytes = text.as_bytes().to_vec();
        for at in reader.unpaired {
            bytes.splice(at..at + 6, *b"\\ufffd");
        }
        String::from_utf8(bytes).map_err(|_| Fault::Syntax)
    }

    /// Whether the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The text, if the value is a string without unpaired surrogates.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => text.as_deref(),
            _ => None,
        }
    }

    /// The items, if the value is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The fields, if the value is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[Field<'t>]> {
        match &self.kind {
            Kind::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// Converts to serde_json's type. Of equal keys the last one counts. `None` if that type can't represent the value.
    #[must_use]
    pub fn to_value(&self) -> Option<Value> {
        Some(match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(bool) => Value::Bool(*bool),
            Kind::Number => serde_json::from_str(self.text).ok()?,
            Kind::String(text) => Value::String(text.clone()?),
            Kind::Array(items) => {
                Value::Array(items.iter().map(Node::to_value).collect::<Option<_>>()?)
            }
            Kind::Object(fields) => {
                let mut map = Map::new();
                for field in fields {
                    map.insert(field.key()?.to_owned(), field.value.to_value()?);
                }
                Value::Object(map)
            }
        })
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// The offsets of escapes of unpaired surrogates.
    unpaired: Vec<usize>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, unpaired: Vec::new() }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let same = self.peek() == Some(byte);
        self.at += usize::from(same);
        same
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.eat(byte) { Ok(()) } else { Err(Fault::Syntax) }
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node<'t>, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.white_space();
        let start = self.at;
        let kind = match self.peek().ok_or(Fault::Syntax)? {
            b'{' => self.object(depth)?,
            b'[' => self.array(depth)?,
            b'"' => Kind::String(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { text: self.since(start)?, at: start, kind })
    }

    fn since(&self, start: usize) -> Result<&'t str, Fault> {
        self.text.get(start..self.at).ok_or(Fault::Syntax)
    }

    fn word(&mut self) -> Result<Kind<'t>, Fault> {
        for (word, kind) in
            [("null", Kind::Null), ("true", Kind::Bool(true)), ("false", Kind::Bool(false))]
        {
            if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
                self.at += word.len();
                return Ok(kind);
            }
        }
        Err(Fault::Syntax)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Fault::Syntax) }
    }

    fn number(&mut self) -> Result<Kind<'t>, Fault> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    fn array(&mut self, depth: usize) -> Result<Kind<'t>, Fault> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.white_space();
        if self.eat(b']') {
            return Ok(Kind::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.white_space();
            if self.eat(b']') {
                return Ok(Kind::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Kind<'t>, Fault> {
        self.expect(b'{')?;
        let mut fields = Vec::new();
        self.white_space();
        if self.eat(b'}') {
            return Ok(Kind::Object(fields));
        }
        loop {
            self.white_space();
            let start = self.at;
            let key = Kind::String(self.string()?);
            let key = Node { text: self.since(start)?, at: start, kind: key };
            self.white_space();
            self.expect(b':')?;
            fields.push(Field { key, value: self.value(depth + 1)? });
            self.white_space();
            if self.eat(b'}') {
                return Ok(Kind::Object(fields));
            }
            self.expect(b',')?;
        }
    }

    /// Collects UTF-16 units first, because escapes can contain unpaired surrogates.
    fn string(&mut self) -> Result<Option<String>, Fault> {
        self.expect(b'"')?;
        let mut units: Vec<u16> = Vec::new();
        // The offset of each unit in the text.
        let mut offsets = Vec::new();
        loop {
            let start = self.at;
            let next = self.text.get(self.at..).and_then(|rest| rest.chars().next());
            let next = next.ok_or(Fault::Syntax)?;
            self.at += next.len_utf8();
            match next {
                '"' => break,
                '\\' => units.push(self.escape()?),
                '\0'..' ' => return Err(Fault::Syntax),
                _ => units.extend_from_slice(next.encode_utf16(&mut [0; 2])),
            }
            offsets.resize(units.len(), start);
        }
        let mut unit = 0;
        for decoded in char::decode_utf16(units.iter().copied()) {
            if decoded.is_err() {
                self.unpaired.extend(offsets.get(unit));
            }
            unit += decoded.map_or(1, char::len_utf16);
        }
        Ok(String::from_utf16(&units).ok())
    }

    fn escape(&mut self) -> Result<u16, Fault> {
        let escape = self.peek().ok_or(Fault::Syntax)?;
        self.at += 1;
        Ok(match escape {
            b'"' | b'\\' | b'/' => u16::from(escape),
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4).ok_or(Fault::Syntax)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err(Fault::Syntax);
                }
                self.at += 4;
                u16::from_str_radix(digits, 16).map_err(|_| Fault::Syntax)?
            }
            _ => return Err(Fault::Syntax),
        })
    }
}
