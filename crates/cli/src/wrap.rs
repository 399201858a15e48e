//! Paragraphs of a width that a terminal shows.

use plimsoll_diagnose::words::wrapped;
use plimsoll_model::Untrusted;

/// Lines are no longer than this, the usual width of a terminal beside another.
pub(crate) const WIDTH: usize = 100;

/// Breaks text between words; the first line begins with `first`, the others with as many spaces.
pub(crate) fn paragraph(first: &str, text: &str) -> String {
    wrapped(first, text, WIDTH)
}

/// Lines by two spaces to the right, each escaped.
pub(crate) fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| all + "  " + Untrusted::from(line).as_str() + "\n")
}
