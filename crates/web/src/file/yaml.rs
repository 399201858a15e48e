//! YAML as a tree of which each part knows its line and key.

use plimsoll_model::Untrusted;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::fault::Fault;

/// How deep a file may be nested; the format needs four.
const DEEPEST: usize = 16;

/// A value, with the key that it belongs to.
#[derive(Debug)]
pub(crate) struct Node {
    /// The line, from 1, of the key, or of an item of a list.
    pub(crate) line: usize,
    /// The last part of the key; empty at the top and in lists.
    pub(crate) name: String,
    /// The whole key, with dots.
    key: String,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Empty,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Node>),
}

/// Reads a document. Without anchors, tags and a second document: the format has no use for them, and what is not
/// understood must not be passed over.
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    let place = Place { line: 1, name: String::new(), key: String::new() };
    reader.next()?; // the stream's start
    let top = match reader.next()? {
        (Event::DocumentStart(_), _) => {
            let event = reader.next()?;
            reader.node(place, event, 0)?
        }
        _ => return Ok(place.node(Value::Empty)),
    };
    reader.next()?; // the document's end
    match reader.next()? {
        (Event::StreamEnd, _) => Ok(top),
        (_, span) => Err(Fault::at(line(&span), "", "a second document begins here; there must be one")),
    }
}

impl Node {
    /// The text of a value.
    pub(crate) fn text(&self) -> Result<&str, Fault> {
        match &self.value {
            Value::Text(text) => Ok(text),
            Value::Empty => Err(self.fault("a value is missing")),
            Value::List(_) | Value::Map(_) => Err(self.fault("must be one value, not a list or a section")),
        }
    }

    /// A yes or no, in the words that YAML has had for it.
    pub(crate) fn flag(&self) -> Result<bool, Fault> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            _ => Err(self.fault("must be true or false")),
        }
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Result<&[Self], Fault> {
        match &self.value {
            Value::List(items) => Ok(items),
            Value::Empty => Ok(&[]),
            Value::Text(_) | Value::Map(_) => Err(self.fault("must be a list")),
        }
    }

    /// The entries of a section.
    pub(crate) fn entries(&self) -> Result<&[Self], Fault> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            Value::Empty => Ok(&[]),
            Value::Text(_) | Value::List(_) => Err(self.fault("must be a section with keys")),
        }
    }

    /// What is wrong here.
    pub(crate) fn fault(&self, problem: impl Into<String>) -> Fault {
        Fault::at(self.line, &self.key, problem)
    }

    /// That nothing of this name is known, but these are.
    pub(crate) fn unknown(&self, known: &[&str]) -> Fault {
        self.fault(format!("there is no such key; there are {}", known.join(", ")))
    }
}

/// Where a value belongs.
struct Place {
    line: usize,
    name: String,
    key: String,
}

impl Place {
    fn node(self, value: Value) -> Node {
        Node { line: self.line, name: self.name, key: self.key, value }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(not_yaml(&error)),
            None => Err(Fault::at(1, "", "the file ends in the midst of something")),
        }
    }

    fn node(&mut self, place: Place, (event, span): (Event<'a>, Span), depth: usize) -> Result<Node, Fault> {
        let fault = |problem| Err(Fault::at(line(&span), &place.key, problem));
        match event {
            _ if depth > DEEPEST => fault("is nested too deep"),
            Event::Alias(_) => fault("aliases (*name) are not taken"),
            Event::Scalar(.., Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                fault("tags (!name) are not taken")
            }
            Event::Scalar(text, style, ..) if style == ScalarStyle::Plain && is_null(&text) => {
                Ok(place.node(Value::Empty))
            }
            Event::Scalar(text, ..) => Ok(place.node(Value::Text(text.into_owned()))),
            Event::SequenceStart(..) => self.list(place, depth),
            Event::MappingStart(..) => self.map(place, depth),
            _ => fault("a value is missing"),
        }
    }

    fn list(&mut self, place: Place, depth: usize) -> Result<Node, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(place.node(Value::List(items))),
                (event, span) => {
                    let item = Place { line: line(&span), name: String::new(), key: place.key.clone() };
                    items.push(self.node(item, (event, span), depth + 1)?);
                }
            }
        }
    }

    fn map(&mut self, place: Place, depth: usize) -> Result<Node, Fault> {
        let mut entries: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(place.node(Value::Map(entries))),
                Event::Scalar(name, ..) => name.into_owned(),
                _ => return Err(Fault::at(line(&span), &place.key, "a key must be one word")),
            };
            let shown = Untrusted::from(name.as_str());
            let key = if place.key.is_empty() { shown.to_string() } else { format!("{}.{shown}", place.key) };
            if let Some(first) = entries.iter().find(|entry| entry.name == name) {
                return Err(Fault::at(line(&span), &key, format!("is there already, on line {}", first.line)));
            }
            let value = self.next()?;
            entries.push(self.node(Place { line: line(&span), name, key }, value, depth + 1)?);
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn line(span: &Span) -> usize {
    span.start.line()
}

fn not_yaml(error: &ScanError) -> Fault {
    Fault::at(error.marker().line(), "", format!("not YAML: {}", Untrusted::from(error.info())))
}
