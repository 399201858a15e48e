//! `HAProxy`'s configuration language, as lines of words.

use std::ops::Range;

use plimsoll_model::Untrusted;

use crate::budget::{Budget, Counted, Stop};

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Without its quotes and escapes.
    pub(super) text: String,
    /// Where it stands in its file.
    pub(super) at: Range<usize>,
    /// Whether a variable of the environment is in it, whose value is not known.
    pub(super) has_variable: bool,
}

impl Word {
    pub(super) fn shown(&self) -> Untrusted {
        Untrusted::from(self.text.as_str())
    }
}

/// A line that is not empty.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The file, by its number.
    pub(super) source: usize,
    /// From 1.
    pub(super) number: usize,
    /// At least one.
    pub(super) words: Vec<Word>,
    /// From its first word to behind its last.
    pub(super) at: Range<usize>,
    /// Whether it stands in a conditional block (`.if`), of which is not known whether it holds.
    pub(super) is_conditional: bool,
}

impl Line {
    pub(super) fn word(&self, number: usize) -> &str {
        self.words.get(number).map_or("", |word| &word.text)
    }

    pub(super) fn from(&self, number: usize) -> &[Word] {
        self.words.get(number..).unwrap_or_default()
    }
}

/// Where and why a text is not of the language.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) problem: &'static str,
}

/// Each word is one of the budget's.
pub(super) fn lines(text: &[u8], source: usize, budget: &mut Budget<'_>) -> Result<Vec<Line>, Stop<Fault>> {
    let mut lines = Vec::new();
    let mut begin = 0;
    let mut conditions = 0_usize;
    for (index, raw) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let fault = |problem| Stop::Fault(Fault { line: number, problem });
        let words = words(raw, begin, budget).map_err(|stop| match stop {
            Stop::Fault(problem) => fault(problem),
            Stop::Short(short) => Stop::Short(short),
        })?;
        begin += raw.len() + 1;
        let (Some(first), Some(last)) = (words.first(), words.last()) else { continue };
        match first.text.as_str() {
            ".if" => conditions += 1,
            ".endif" => {
                conditions = conditions.checked_sub(1).ok_or(fault("an `.endif` without an `.if`"))?;
            }
            _ => {
                let at = first.at.start..last.at.end;
                lines.push(Line { source, number, words, at, is_conditional: conditions > 0 });
            }
        }
    }
    Ok(lines)
}

/// The words of a line that begins at a byte of its file. Quotes and escapes are those of the manual's section 2.2.
fn words(raw: &[u8], begin: usize, budget: &mut Budget<'_>) -> Result<Vec<Word>, Stop<&'static str>> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while matches!(raw.get(at), Some(b' ' | b'\t' | b'\r')) {
            at += 1;
        }
        match raw.get(at) {
            None | Some(b'#') => return Ok(words),
            Some(_) => budget.spend(Counted::Words, 1).map_err(Stop::Short)?,
        }
        let from = at;
        let (mut text, mut quote, mut has_variable) = (Vec::new(), None, false);
        loop {
            match (raw.get(at).copied(), quote) {
                (None, Some(_)) => return Err(Stop::Fault("a quote that does not end")),
                (None | Some(b' ' | b'\t' | b'\r' | b'#'), None) => break,
                (Some(b'\\'), None | Some(b'"')) => {
                    at += 1;
                    at += escape(raw.get(at..).unwrap_or_default(), quote, &mut text).map_err(Stop::Fault)?;
                    continue;
                }
                (Some(byte @ (b'"' | b'\'')), None) => quote = Some(byte),
                (Some(byte), Some(open)) if byte == open => quote = None,
                (Some(byte), quote) => {
                    has_variable |= byte == b'$' && quote == Some(b'"');
                    text.push(byte);
                }
            }
            at += 1;
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        words.push(Word { text, at: begin + from..begin + at, has_variable });
    }
}

/// Adds what an escape stands for, and tells how long it is behind its backslash. A backslash before anything else is itself.
fn escape(rest: &[u8], quote: Option<u8>, text: &mut Vec<u8>) -> Result<usize, &'static str> {
    let (byte, length) = match rest {
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [b'x', high, low, ..] => match (char::from(*high).to_digit(16), char::from(*low).to_digit(16)) {
            (Some(high), Some(low)) => (u8::try_from(16 * high + low).unwrap_or(b'?'), 3),
            _ => return Err("a backslash and an `x` without two digits"),
        },
        [b'x', ..] => return Err("a backslash and an `x` without two digits"),
        [itself @ (b' ' | b'\t' | b'#' | b'\\' | b'"' | b'\''), ..] => (*itself, 1),
        [b'$', ..] if quote.is_some() => (b'$', 1),
        _ => (b'\\', 0),
    };
    text.push(byte);
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn read(text: &[u8]) -> Result<Vec<Word>, &'static str> {
        words(text, 0, &mut Budget::new(Limits::ONCE, &|| false)).map_err(|stop| match stop {
            Stop::Fault(problem) => problem,
            Stop::Short(_) => "nothing is left",
        })
    }

    #[test]
    fn words_are_read_as_haproxy_reads_them() {
        for (text, expected) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            ("a b # c", vec!["a", "b"]),
            ("a b\\ c\\#d", vec!["a", "b c#d"]),
            ("a \"b c\" 'd \\e' f\"g h\"i", vec!["a", "b c", "d \\e", "fg hi"]),
            ("a \"b\\\"c\" '\"'", vec!["a", "b\"c", "\""]),
            ("a \\x41", vec!["a", "A"]),
            ("\\e \\$ \"\\$ \\e\" \\", vec!["\\e", "\\$", "$ \\e", "\\"]),
            ("a \"\"", vec!["a", ""]),
            ("a\r", vec!["a"]),
            ("# a", vec![]),
        ] {
            let words = read(text.as_bytes()).map(|words| words.into_iter().map(|word| word.text).collect());
            assert_eq!(words, Ok(expected.iter().map(ToString::to_string).collect::<Vec<_>>()), "{text}");
        }
        for text in ["a \"b", "a 'b", "a \\x4", "a \"\\"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"a \"$B\" ").unwrap()[1].has_variable);
        assert!(!read(b"a '$B' $C").unwrap().iter().any(|word| word.has_variable));
    }
}
