//! The Markdown of our own pages, for a terminal: paragraphs, lists, blocks of code, links and code in a line. No more of
//! it is used there.

use plimsoll_diagnose::words::wrapped;

use crate::svg::escaped;

/// What begins a paragraph's lines.
const INDENT: &str = "  ";
/// What begins a line of code.
const CODE_INDENT: &str = "    ";

/// The text of a section, in lines of at most so many letters.
pub(crate) fn render(markdown: &str, width: usize) -> String {
    let mut text = String::new();
    let mut previous = None;
    for block in blocks(markdown) {
        let is_next_item = matches!((&previous, &block), (Some(Block::Item { .. }), Block::Item { .. }));
        if previous.is_some() && !is_next_item {
            text.push('\n');
        }
        match &block {
            Block::Paragraph(words) => text.push_str(&wrapped(INDENT, &plain(words), width)),
            Block::Item { mark, words } => text.push_str(&wrapped(&format!("{INDENT}{mark} "), &plain(words), width)),
            Block::Code(lines) => lines.iter().for_each(|line| text.push_str(&format!("{CODE_INDENT}{line}\n"))),
        }
        previous = Some(block);
    }
    text
}

/// The same as elements of a page.
pub(crate) fn html(markdown: &str) -> String {
    let mut html = String::new();
    for block in blocks(markdown) {
        html.push_str(&match &block {
            Block::Paragraph(words) => format!("<p>{}</p>\n", with_code(words)),
            // Numbers stay as they are written: a list may be broken by code.
            Block::Item { mark: "-", words } => format!("<p>• {}</p>\n", with_code(words)),
            Block::Item { mark, words } => format!("<p>{} {}</p>\n", escaped(mark), with_code(words)),
            Block::Code(lines) => {
                let lines: Vec<_> = lines.iter().map(|line| escaped(line)).collect();
                format!("<pre><code>{}</code></pre>\n", lines.join("\n"))
            }
        });
    }
    html
}

/// Words with their code as such.
fn with_code(markdown: &str) -> String {
    let parts = without_links(markdown);
    let parts = parts
        .split('`')
        .enumerate()
        .map(|(index, part)| if index % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) });
    parts.collect()
}

#[derive(Debug, PartialEq)]
enum Block<'a> {
    Paragraph(String),
    Item { mark: &'a str, words: String },
    Code(Vec<&'a str>),
}

fn blocks(markdown: &str) -> Vec<Block<'_>> {
    const FENCE: &str = "```";
    let mut blocks = Vec::new();
    // Whether the next line goes on with the last block.
    let mut is_open = false;
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if line.starts_with(FENCE) {
            blocks.push(Block::Code(lines.by_ref().take_while(|line| !line.starts_with(FENCE)).collect()));
            is_open = false;
        } else if line.trim().is_empty() {
            is_open = false;
        } else if let Some((mark, words)) = item(line) {
            blocks.push(Block::Item { mark, words: words.to_string() });
            is_open = true;
        } else if let (true, Some(Block::Paragraph(words) | Block::Item { words, .. })) = (is_open, blocks.last_mut()) {
            words.push(' ');
            words.push_str(line.trim());
        } else {
            blocks.push(Block::Paragraph(line.to_string()));
            is_open = true;
        }
    }
    blocks
}

/// `- words` or `1. words`.
fn item(line: &str) -> Option<(&str, &str)> {
    let (mark, words) = line.split_once(' ')?;
    let is_number = |mark: &str| mark.strip_suffix('.').is_some_and(|number| number.parse::<u8>().is_ok());
    (mark == "-" || is_number(mark)).then_some((mark, words))
}

/// The words alone. Code of several words is quoted, or it could not be told where it ends.
fn plain(markdown: &str) -> String {
    let without_links = without_links(markdown);
    let parts = without_links.split('`').enumerate().map(|(index, part)| {
        let is_code = index % 2 == 1;
        if is_code && part.contains(' ') { format!("\"{part}\"") } else { part.to_string() }
    });
    parts.collect()
}

/// Links are said by their text.
fn without_links(markdown: &str) -> String {
    let mut plain = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let link = after.split_once("](").and_then(|(words, target)| Some((words, target.split_once(')')?.1)));
        if let Some((words, behind)) = link {
            plain.push_str(words);
            rest = behind;
        } else {
            plain.push('[');
            rest = after;
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_lists_and_code_are_told_apart() {
        let markdown =
            "One\nline.\n\n1. First\n   of two.\n2. Second.\n\n```text\nrun  this\n\n    and that\n```\n\n- Last.\n";
        let expected =
            "  One line.\n\n  1. First of two.\n  2. Second.\n\n    run  this\n    \n        and that\n\n  - Last.\n";
        assert_eq!(render(markdown, 80), expected);
    }

    #[test]
    fn links_and_code_lose_their_marks() {
        assert_eq!(plain("see [table-full](table-full.md): `max[0]` of [x"), "see table-full: max[0] of [x");
        assert_eq!(plain("a `ct state new` rule, `max`"), "a \"ct state new\" rule, max");
    }

    #[test]
    fn what_only_looks_like_an_item_is_none() {
        assert_eq!(item("-301 is a priority"), None);
        assert_eq!(item("3.5 microseconds"), None);
    }
}
