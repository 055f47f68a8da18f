//! The Python literals that a header is made of: dicts, lists, tuples, strings, numbers, True, False, None.
//! Nothing is evaluated, nesting is bounded, and every input ends in a value or an error.
#![deny(clippy::arithmetic_side_effects)]

/// A parsed literal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// A whole number that fits into 64 bits and is not negative.
    Number(u64),
    Flag(bool),
    None,
    /// A tuple or list.
    Seq(Vec<Value>),
    Dict(Vec<(Value, Value)>),
}

/// Nesting deeper than this is an error; structured types nest a few levels.
const DEEPEST: usize = 32;

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

/// The value that the whole text is, with white space around it.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text, depth: 0 };
    let value = parser.value()?;
    parser.skip_space();
    if parser.rest.is_empty() { Ok(value) } else { Err(parser.unexpected()) }
}

impl<'a> Parser<'a> {
    fn skip_space(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
            // A comment, to the end of its line.
            let Some(comment) = self.rest.strip_prefix('#') else { return };
            self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            Some(c) => format!("unexpected {c:?}"),
            None => "it ends too early".to_owned(),
        }
    }

    /// Takes `token` if it comes next.
    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        self.skip_space();
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEEPEST {
            return Err("it nests too deep".to_owned());
        }
        let value = match self.rest.chars().next() {
            Some('{') => self.dict(),
            Some('(') => self.tuple(),
            Some('[') => self.sequence("[", "]").map(|(items, _)| Value::Seq(items)),
            Some('\'' | '"') => self.text(),
            // As Python 2 writes its longer strings.
            Some('u') => {
                self.rest = &self.rest[1..];
                self.text()
            }
            Some('0'..='9') => self.number(),
            Some('+') => {
                self.rest = &self.rest[1..];
                self.number()
            }
            Some('-') => Err("a negative number".to_owned()),
            _ if self.eat("True") => Ok(Value::Flag(true)),
            _ if self.eat("False") => Ok(Value::Flag(false)),
            _ if self.eat("None") => Ok(Value::None),
            _ => Err(self.unexpected()),
        };
        self.depth = self.depth.saturating_sub(1);
        value
    }

    /// The items between two brackets, and whether the last one was followed by a comma.
    fn sequence(&mut self, open: &str, close: &str) -> Result<(Vec<Value>, bool), String> {
        let mut items = Vec::new();
        let mut comma = false;
        if !self.eat(open) {
            return Err(self.unexpected());
        }
        loop {
            if self.eat(close) {
                return Ok((items, comma));
            }
            if !items.is_empty() && !comma {
                return Err(self.unexpected());
            }
            items.push(self.value()?);
            comma = self.eat(",");
        }
    }

    /// A tuple, or a value in parentheses.
    fn tuple(&mut self) -> Result<Value, String> {
        let (mut items, comma) = self.sequence("(", ")")?;
        match (items.len(), comma) {
            (1, false) => items.pop().ok_or_else(|| self.unexpected()),
            _ => Ok(Value::Seq(items)),
        }
    }

    fn dict(&mut self) -> Result<Value, String> {
        let mut entries = Vec::new();
        let mut comma = true;
        if !self.eat("{") {
            return Err(self.unexpected());
        }
        loop {
            if self.eat("}") {
                return Ok(Value::Dict(entries));
            }
            if !comma {
                return Err(self.unexpected());
            }
            let key = self.value()?;
            if !self.eat(":") {
                return Err(self.unexpected());
            }
            entries.push((key, self.value()?));
            comma = self.eat(",");
        }
    }

    /// A quoted string; of the escapes, those that Python's `repr` writes for quotes and backslashes, and the
    /// others kept as they stand.
    fn text(&mut self) -> Result<Value, String> {
        let mut chars = self.rest.chars();
        let Some(quote @ ('\'' | '"')) = chars.next() else { return Err(self.unexpected()) };
        let mut text = String::new();
        loop {
            match chars.next() {
                None => return Err("a string without an end".to_owned()),
                Some(c) if c == quote => break,
                Some('\\') => match chars.next() {
                    None => return Err("a string without an end".to_owned()),
                    Some(c @ ('\\' | '\'' | '"')) => text.push(c),
                    Some(c) => text.extend(['\\', c]),
                },
                Some(c) => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(Value::Text(text))
    }

    /// A whole number, also with the `L` that Python 2 wrote, underscores between its digits, or in another
    /// base.
    fn number(&mut self) -> Result<Value, String> {
        let (base, digits) = match self.rest.as_bytes() {
            [b'0', b'x' | b'X', ..] => (16, &self.rest[2..]),
            [b'0', b'o' | b'O', ..] => (8, &self.rest[2..]),
            [b'0', b'b' | b'B', ..] => (2, &self.rest[2..]),
            _ => (10, self.rest),
        };
        let end = digits.find(|c: char| !c.is_digit(base) && c != '_').unwrap_or(digits.len());
        let (digits, rest) = digits.split_at(end);
        let plain: String = digits.chars().filter(|c| *c != '_').collect();
        if plain.is_empty() {
            return Err(self.unexpected());
        }
        let number =
            u64::from_str_radix(&plain, base).map_err(|_| format!("the number {digits} is too large"))?;
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        Ok(Value::Number(number))
    }
}
