//! NGINX's configuration language, as words.

use std::ops::Range;

use plimsoll_model::Untrusted;

use super::lua;
use crate::budget::{Budget, Counted, Stop};

/// A word.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Without its quotes and escapes.
    pub(super) text: String,
    /// Where it stands in its file, with its quotes.
    pub(super) at: Range<usize>,
}

impl Word {
    pub(super) fn shown(&self) -> Untrusted {
        Untrusted::from(self.text.as_str())
    }
}

/// What ends a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// `;`
    Simple,
    /// `{`
    Block,
    /// A block of Lua, passed over.
    Lua,
    /// `}` of the block around.
    Close,
    /// The end of the file.
    File,
}

/// Some words and what ends them.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) words: Vec<Word>,
    pub(super) end: End,
    /// Behind its end.
    pub(super) until: usize,
    /// Where it begins.
    pub(super) begin: usize,
}

/// Where and why a text is not of the language.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) problem: &'static str,
}

/// Reads a text statement by statement.
pub(super) struct Words<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Each word, and each end, is one of the budget's words.
    pub(super) fn statement(&mut self, budget: &mut Budget<'_>) -> Result<Statement, Stop<Fault>> {
        let mut words: Vec<Word> = Vec::new();
        loop {
            budget.spend(Counted::Words, 1).map_err(Stop::Short)?;
            self.skip_space_and_comments();
            let begin = words.first().map_or(self.at, |word| word.at.start);
            let end = match self.peek() {
                None if words.is_empty() => End::File,
                None => return Err(Stop::Fault(self.fault("the file ends before the `;` of this"))),
                Some(b';') if !words.is_empty() => End::Simple,
                Some(b'{') if words.first().is_some_and(|word| is_lua(&word.text)) => {
                    let length = lua::length(self.text.get(self.at..).unwrap_or_default());
                    self.at += length.ok_or_else(|| Stop::Fault(self.fault("a Lua block that does not end")))?;
                    return Ok(Statement { words, end: End::Lua, until: self.at, begin });
                }
                Some(b'{') if !words.is_empty() => End::Block,
                Some(b'}') if words.is_empty() => End::Close,
                Some(b';') => return Err(Stop::Fault(self.fault("a `;` with nothing before it"))),
                Some(b'{') => return Err(Stop::Fault(self.fault("a `{` with nothing before it"))),
                Some(b'}') => return Err(Stop::Fault(self.fault("a `}` where a `;` is missing"))),
                Some(_) => {
                    words.push(self.word().map_err(Stop::Fault)?);
                    continue;
                }
            };
            self.at += usize::from(end != End::File);
            return Ok(Statement { words, end, until: self.at, begin });
        }
    }

    fn word(&mut self) -> Result<Word, Fault> {
        let begin = self.at;
        let quote = self.peek().filter(|byte| matches!(byte, b'"' | b'\''));
        self.at += usize::from(quote.is_some());
        let mut text = Vec::new();
        let mut before = 0;
        loop {
            let Some(byte) = self.peek() else {
                if quote.is_some() {
                    return Err(Fault { at: begin, problem: "a quote that does not end" });
                }
                break;
            };
            match (byte, quote) {
                (b'\\', _) => {
                    self.at += 1;
                    text.extend(unescaped(self.peek()));
                }
                (byte, Some(quote)) if byte == quote => {
                    self.at += 1;
                    // `)` as NGINX has it, for conditions.
                    if !matches!(self.peek(), None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' | b')')) {
                        return Err(self.fault("something directly behind a quoted word"));
                    }
                    break;
                }
                // `${name}` is a variable and no block.
                (b'{', None) if before == b'$' => text.push(byte),
                (b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{', None) => break,
                _ => text.push(byte),
            }
            before = byte;
            self.at = (self.at + 1).min(self.text.len());
        }
        Ok(Word { text: String::from_utf8_lossy(&text).into_owned(), at: begin..self.at })
    }

    fn skip_space_and_comments(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'#' => {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn fault(&self, problem: &'static str) -> Fault {
        Fault { at: self.at, problem }
    }
}

fn is_lua(directive: &str) -> bool {
    directive.ends_with("_by_lua_block")
}

/// What stands for a backslash and the byte behind it.
fn unescaped(byte: Option<u8>) -> Vec<u8> {
    match byte {
        Some(quoted @ (b'"' | b'\'' | b'\\')) => vec![quoted],
        Some(b't') => vec![b'\t'],
        Some(b'r') => vec![b'\r'],
        Some(b'n') => vec![b'\n'],
        Some(other) => vec![b'\\', other],
        None => vec![b'\\'],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn words(text: &str) -> Result<Vec<(Vec<String>, End)>, &'static str> {
        let mut reader = Words::new(text.as_bytes());
        let mut budget = Budget::new(Limits::ONCE, &|| false);
        let mut all = Vec::new();
        loop {
            let statement = reader.statement(&mut budget).map_err(|stop| match stop {
                Stop::Fault(fault) => fault.problem,
                Stop::Short(_) => "nothing is left",
            })?;
            if statement.end == End::File {
                return Ok(all);
            }
            all.push((statement.words.into_iter().map(|word| word.text).collect(), statement.end));
        }
    }

    #[test]
    fn statements_are_read_as_nginx_reads_them() {
        let one = |words: &[&str], end| (words.iter().map(ToString::to_string).collect::<Vec<_>>(), end);
        for (text, expected) in [
            ("a b; # c;\nd;", vec![one(&["a", "b"], End::Simple), one(&["d"], End::Simple)]),
            ("a 'b c' \"d;\";", vec![one(&["a", "b c", "d;"], End::Simple)]),
            ("a \"\";", vec![one(&["a", ""], End::Simple)]),
            ("a b\\ c \\\"d;", vec![one(&["a", "b\\ c", "\"d"], End::Simple)]),
            ("a b#c;", vec![one(&["a", "b#c"], End::Simple)]),
            ("a ${b}c;", vec![one(&["a", "${b}c"], End::Simple)]),
            ("a b{ c; }", vec![one(&["a", "b"], End::Block), one(&["c"], End::Simple), one(&[], End::Close)]),
            ("a b}; ", vec![one(&["a", "b}"], End::Simple)]),
            (
                "x_by_lua_block { if a then b = \"}\" end -- }\n } c;",
                vec![one(&["x_by_lua_block"], End::Lua), one(&["c"], End::Simple)],
            ),
        ] {
            assert_eq!(words(text), Ok(expected), "{text}");
        }
        for text in ["a", "a 'b", "a 'b'c;", ";", "{", "a }", "x_by_lua_block {", "a 'b\\"] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}
