//! Text from outside: names of commands, containers, namespaces, hosts.

use std::fmt;

use serde::{Serialize, Serializer};

/// Text that somebody else chose. It can only be shown escaped: control characters, bytes that are not UTF-8 and
/// characters that reorder or hide text come out as escapes, in terminals and in JSON alike.
///
/// ```
/// use plimsoll_model::Untrusted;
/// assert_eq!(Untrusted::from_bytes(b"web\x1b[2J").to_string(), "web\\u{1b}[2J");
/// assert_eq!(Untrusted::from_bytes(b"\xffok").to_string(), "\\xffok");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Untrusted {
    escaped: String,
}

impl Untrusted {
    /// Takes text as it came.
    pub fn from_bytes(raw: &[u8]) -> Self {
        let mut escaped = String::with_capacity(raw.len());
        for chunk in raw.utf8_chunks() {
            for c in chunk.valid().chars() {
                if is_plain(c) {
                    escaped.push(c);
                } else {
                    escaped.extend(c.escape_unicode());
                }
            }
            for byte in chunk.invalid() {
                escaped.extend(format!("\\x{byte:02x}").chars());
            }
        }
        Self { escaped }
    }

    /// Takes text that was put together from what is escaped already, and from Plimsoll's own words. Anything else in it that
    /// could do harm is escaped still; a backslash is taken for the beginning of an escape.
    pub fn from_escaped(text: String) -> Self {
        if text.chars().all(|c| is_plain(c) || c == '\\') { Self { escaped: text } } else { Self::from(text.as_str()) }
    }

    /// The text with everything that could do harm escaped.
    pub fn as_str(&self) -> &str {
        &self.escaped
    }
}

/// Whether a character shows as itself and changes nothing around it: no control character (C0, C1), no backslash
/// (escapes must be told from text), none of Unicode's invisible or direction-changing format characters.
fn is_plain(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && c != '\\' && !invisible
}

impl From<&str> for Untrusted {
    fn from(raw: &str) -> Self {
        Self::from_bytes(raw.as_bytes())
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.escaped)
    }
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escaped)
    }
}

impl Serialize for Untrusted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.escaped)
    }
}

#[cfg(test)]
mod tests {
    use super::Untrusted;

    #[test]
    fn nothing_that_moves_a_cursor_or_turns_text_around_survives() {
        for hostile in ["\x1b[31m", "\u{9b}31m", "a\nb", "a\rb", "\u{202e}abc", "\u{200b}", "\0", "\u{7f}"] {
            let shown = Untrusted::from(hostile).to_string();
            assert!(shown.chars().all(|c| c.is_ascii_graphic()), "{hostile:?} is shown as {shown:?}");
        }
    }

    #[test]
    fn ordinary_names_are_untouched_and_escapes_are_unambiguous() {
        assert_eq!(Untrusted::from("kube-proxy").as_str(), "kube-proxy");
        assert_eq!(Untrusted::from("größe 大").as_str(), "größe 大");
        assert_eq!(Untrusted::from("\\u{1b}").as_str(), "\\u{5c}u{1b}");
        let shown = Untrusted::from("a\u{1b}");
        assert_eq!(Untrusted::from_escaped(format!("x {shown}")).as_str(), "x a\\u{1b}");
        assert_eq!(Untrusted::from_escaped("\u{1b}".to_string()).as_str(), "\\u{1b}");
    }
}
