//! YAML, and JSON as a part of it, as the values that `serde` takes. Every plain value is a text.

use plimsoll_model::Untrusted;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Value};

/// How deep a file may be nested; a kubeconfig needs six.
const DEEPEST: usize = 32;

/// Reads a document. What is wrong is said with its line; what stands there is not, as it may be a secret.
pub(crate) fn parse(text: &str) -> Result<Value, Untrusted> {
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    reader.next()?; // the stream's start
    match reader.next()? {
        (Event::DocumentStart(_), _) => {}
        _ => return Ok(Value::Null),
    }
    let event = reader.next()?;
    let top = reader.value(event, 0)?;
    reader.next()?; // the document's end
    match reader.next()? {
        (Event::StreamEnd, _) => Ok(top),
        (_, span) => Err(fault(&span, "a second document begins here")),
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Untrusted> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(not_yaml(&error)),
            None => Err("it ends in the midst of something".into()),
        }
    }

    fn value(&mut self, (event, span): (Event<'a>, Span), depth: usize) -> Result<Value, Untrusted> {
        match event {
            _ if depth > DEEPEST => Err(fault(&span, "it is nested too deep")),
            Event::Alias(_) => Err(fault(&span, "aliases (*name) are not taken")),
            Event::Scalar(text, ScalarStyle::Plain, ..) if matches!(&*text, "" | "~" | "null" | "Null" | "NULL") => {
                Ok(Value::Null)
            }
            Event::Scalar(text, ..) => Ok(Value::String(text.into_owned())),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                        event => items.push(self.value(event, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut entries = Map::new();
                loop {
                    let key = match self.next()? {
                        (Event::MappingEnd, _) => return Ok(Value::Object(entries)),
                        (Event::Scalar(key, ..), _) => key.into_owned(),
                        (_, span) => return Err(fault(&span, "a key must be one word")),
                    };
                    let event = self.next()?;
                    let value = self.value(event, depth + 1)?;
                    entries.insert(key, value);
                }
            }
            _ => Err(fault(&span, "a value is missing")),
        }
    }
}

fn fault(span: &Span, problem: &str) -> Untrusted {
    format!("line {}: {problem}", span.start.line()).as_str().into()
}

/// The parser's own words quote nothing of the file but single characters.
fn not_yaml(error: &ScanError) -> Untrusted {
    format!("line {}: not YAML", error.marker().line()).as_str().into()
}
