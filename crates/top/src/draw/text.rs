//! Lines of a width.

use plimsoll_diagnose::words::wrapped;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::look::bold;

/// Text broken between words; the first line begins with `first`.
pub(super) fn paragraph(first: &str, text: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    wrapped(first, text, width).lines().map(|line| Line::styled(line.to_string(), style)).collect()
}

/// Text that is no longer than fits; an ellipsis tells that there is more.
pub(super) fn cut(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_string();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if Span::raw(short.as_str()).width() + 1 > width {
            short.pop();
            break;
        }
    }
    if width > 0 {
        short.push('…');
    }
    short
}

/// The same, and filled with spaces.
pub(super) fn padded(text: &str, width: usize) -> String {
    let mut text = cut(text, width);
    let missing = width.saturating_sub(Span::raw(text.as_str()).width());
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

pub(super) fn heading(text: String) -> Line<'static> {
    Line::styled(text, bold())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_fits_wide_letters_too() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("大大大大", 6), "大大…");
        assert_eq!(padded("大", 4), "大  ");
        assert_eq!(cut("abc", 0), "");
    }
}
