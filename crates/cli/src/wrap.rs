//! Paragraphs of a width that a terminal shows.

use plimsoll_model::Untrusted;

/// Lines are no longer than this, the usual width of a terminal beside another.
const WIDTH: usize = 100;

/// Breaks text between words; the first line begins with `first`, the others with as many spaces.
pub(crate) fn paragraph(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let mut wrapped = first.to_string();
    let mut column = indent;
    for (index, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            column = indent;
        } else if index > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped.push('\n');
    wrapped
}

/// Lines by two spaces to the right, each escaped.
pub(crate) fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| all + "  " + Untrusted::from(line).as_str() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_indented() {
        let text = "word ".repeat(40);
        let wrapped = paragraph("  1. ", &text);
        assert!(wrapped.lines().count() > 1);
        assert!(wrapped.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(wrapped.lines().skip(1).all(|line| line.starts_with("     word")));
    }

    #[test]
    fn a_word_that_is_too_long_is_left_whole() {
        let long = "x".repeat(300);
        assert_eq!(paragraph("- ", &long), format!("- {long}\n"));
    }
}
