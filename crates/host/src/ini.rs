//! Files of `key = value` lines, in sections or not.

use crate::text::Text;

/// A line of it, as it is written but for the white space around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Of the section that it is in; empty before the first.
    pub(crate) section: &'a [u8],
    pub(crate) key: &'a [u8],
    /// Without the quotes around it.
    pub(crate) value: &'a [u8],
}

/// Every setting, in the order of the file; comments begin with `#` or `;`.
pub(crate) fn entries(text: &Text) -> Vec<Entry<'_>> {
    let mut section: &[u8] = b"";
    let mut entries = Vec::new();
    for line in text.lines() {
        let line = line.bytes().trim_ascii();
        if line.starts_with(b"#") || line.starts_with(b";") {
            continue;
        }
        if let Some(name) = line.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
            section = name.trim_ascii();
        } else if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
            let (key, value) = line.split_at(equals);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            entries.push(Entry { section, key: key.trim_ascii(), value: unquoted(value) });
        }
    }
    entries
}

/// The value of a key outside of sections; the last one counts.
pub(crate) fn last_of<'a>(text: &'a Text, key: &[u8]) -> Option<&'a [u8]> {
    entries(text).into_iter().rev().find(|entry| entry.section.is_empty() && entry.key == key).map(|entry| entry.value)
}

/// Whether a value switches something on, as Python's and shell's programs have it.
pub(crate) fn is_on(value: &[u8]) -> bool {
    [&b"yes"[..], b"true", b"1", b"on", b"y"].iter().any(|on| on.eq_ignore_ascii_case(value))
}

pub(crate) fn unquoted(value: &[u8]) -> &[u8] {
    for quote in [b"\"", b"'"] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn settings_are_read_with_their_section() {
        let text =
            Text::new(PathBuf::new(), b"a=1\n# b=2\n[main]\n a = \"x y\" \n;c=3\n[s]\nd\ne==\n\"\n=\n[t\nf='".to_vec());
        let read: Vec<_> = entries(&text).into_iter().map(|entry| (entry.section, entry.key, entry.value)).collect();
        assert_eq!(
            read,
            [
                (&b""[..], &b"a"[..], &b"1"[..]),
                (b"main", b"a", b"x y"),
                (b"s", b"e", b"="),
                (b"s", b"", b""),
                (b"s", b"f", b"'"),
            ]
        );
        assert_eq!((last_of(&text, b"a"), last_of(&text, b"e")), (Some(&b"1"[..]), None));
        assert!(is_on(b"Yes") && is_on(b"1") && !is_on(b"no") && !is_on(b""));
    }
}
