//! YAML, and JSON as a part of it, as a tree of which each part knows its place.

use std::borrow::Cow;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::budget::{Budget, Counted, Stop};
use crate::rewrite::Source;
use crate::{Error, Place};

/// How deep a document may be nested. A dump's typed configurations have some thirty.
const DEEPEST: usize = 128;

/// A value.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// From 1; that of its key, if it has one.
    pub(super) line: usize,
    /// Its bytes.
    pub(super) bytes: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    /// An alias of something else; not followed.
    Alias,
}

impl Node {
    /// What is below a key, or a path of keys, as the API writes them; nothing where there is none.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| match &node.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| is_field(name, key)).map(|(_, value)| value),
            _ => None,
        })
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.text()
    }

    /// The items of a list below a path; none where there is no list.
    pub(super) fn items(&self, path: &[&str]) -> &[Node] {
        match self.at(path).map(|node| &node.value) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }
}

/// Each key and each value is one of the budget's words.
pub(super) fn parse(source: &Source, budget: &mut Budget<'_>) -> Result<Node, Error> {
    let fault = |line, problem: &str| Error::syntax(Place::new(&source.path, line), problem);
    let text = str::from_utf8(&source.bytes).map_err(|error| {
        let before = source.bytes.get(..error.valid_up_to()).unwrap_or_default();
        fault(source.place(before.len()).line, "not UTF-8")
    })?;
    let text = &*without_surrogates(text);
    let cursor = Cursor { text, character: 0, byte: 0 };
    let mut reader = Reader { parser: Parser::new_from_str(text), cursor, budget };
    let syntax = |Fault { line, problem }| fault(line, &problem);
    reader.document().map_err(|stop| Error::stopped(stop, &source.path, syntax))
}

/// JSON writes what is beyond 16 bits as two escapes, which YAML does not know: each becomes U+FFFD, and all else stays where it is.
fn without_surrogates(text: &str) -> Cow<'_, str> {
    const ESCAPE: usize = "\\ud83d".len();
    if !text.starts_with('{') || !text.contains("\\u") {
        return text.into();
    }
    let (mut new, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, from)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        new.push_str(before);
        let surrogate = from.get(..ESCAPE).filter(|escape| is_surrogate(escape));
        // A backslash takes what follows it along, so that of two the second one begins nothing.
        let length = surrogate.map_or_else(|| from.chars().take(2).map(char::len_utf8).sum(), str::len);
        let (escape, after) = from.split_at_checked(length).unwrap_or((from, ""));
        new.push_str(surrogate.map_or(escape, |_| "\\ufffd"));
        rest = after;
    }
    new.push_str(rest);
    new.into()
}

/// Whether a key is a field's name: `snake_case`, or `lowerCamelCase`, which the JSON form of Protocol Buffers takes as well.
pub(super) fn is_field(key: &str, field: &str) -> bool {
    let mut behind_underscore = false;
    let camel = field.chars().filter_map(|c| match (c, std::mem::replace(&mut behind_underscore, c == '_')) {
        ('_', _) => None,
        (c, true) => Some(c.to_ascii_uppercase()),
        (c, false) => Some(c),
    });
    key == field || camel.eq(key.chars())
}

fn is_surrogate(escape: &str) -> bool {
    let code = escape.strip_prefix("\\u").and_then(|digits| u32::from_str_radix(digits, 16).ok());
    code.is_some_and(|code| (0xd800..0xe000).contains(&code))
}

struct Fault {
    line: usize,
    problem: String,
}

struct Reader<'a, 'b> {
    parser: Parser<'a, StrInput<'a>>,
    cursor: Cursor<'a>,
    budget: &'a mut Budget<'b>,
}

/// The parser counts characters; this follows it in bytes.
struct Cursor<'a> {
    text: &'a str,
    character: usize,
    byte: usize,
}

impl Cursor<'_> {
    fn byte(&mut self, character: usize) -> usize {
        let (before, after) = self.text.split_at_checked(self.byte).unwrap_or((self.text, ""));
        let length = |c: char| c.len_utf8();
        if character >= self.character {
            self.byte += after.chars().take(character - self.character).map(length).sum::<usize>();
        } else {
            self.byte -= before.chars().rev().take(self.character - character).map(length).sum::<usize>();
        }
        self.character = character;
        self.byte
    }
}

impl<'a> Reader<'a, '_> {
    fn document(&mut self) -> Result<Node, Stop<Fault>> {
        self.next()?; // the stream's start
        match self.next()? {
            (Event::DocumentStart(_), _) => {}
            (_, span) => return Ok(Node { value: Value::Null, line: span.start.line(), bytes: 0..0 }),
        }
        let event = self.next()?;
        let top = self.node(event, 0)?;
        self.next()?; // the document's end
        match self.next()? {
            (Event::StreamEnd, _) => Ok(top),
            (_, span) => Err(fault(&span, "a second document begins here")),
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop<Fault>> {
        self.budget.spend(Counted::Words, 1).map_err(Stop::Short)?;
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Stop::Fault(not_yaml(&error))),
            None => Err(Stop::Fault(Fault { line: 1, problem: "the file ends in the midst of something".to_string() })),
        }
    }

    fn node(&mut self, (event, span): (Event<'a>, Span), depth: usize) -> Result<Node, Stop<Fault>> {
        if depth > DEEPEST {
            return Err(fault(&span, "nested too deep"));
        }
        let bytes = self.cursor.byte(span.start.index())..self.cursor.byte(span.end.index());
        let value = match event {
            Event::Alias(_) => Value::Alias,
            Event::Scalar(text, ScalarStyle::Plain, ..) if matches!(&*text, "" | "~" | "null" | "Null" | "NULL") => {
                Value::Null
            }
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Value::List(items),
                        event => items.push(self.node(event, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut entries = Vec::new();
                loop {
                    let (event, key_span) = self.next()?;
                    let key = match event {
                        Event::MappingEnd => break Value::Map(entries),
                        Event::Scalar(key, ..) => key.into_owned(),
                        _ => return Err(fault(&key_span, "a key must be one word")),
                    };
                    let event = self.next()?;
                    let value = self.node(event, depth + 1)?;
                    entries.push((key, Node { line: key_span.start.line(), ..value }));
                }
            }
            _ => return Err(fault(&span, "a value is missing")),
        };
        Ok(Node { value, line: span.start.line(), bytes })
    }
}

fn fault(span: &Span, problem: &str) -> Stop<Fault> {
    Stop::Fault(Fault { line: span.start.line(), problem: problem.to_string() })
}

fn not_yaml(error: &ScanError) -> Fault {
    Fault { line: error.marker().line(), problem: format!("neither YAML nor JSON: {}", error.info()) }
}
