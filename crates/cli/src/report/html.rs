//! Elements. What they hold is escaped here, or is an element itself.

use crate::svg::escaped;

/// Text as it may stand in an element or an attribute; ends of lines stay.
pub(super) fn text(words: &str) -> String {
    words.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

/// An element with a class, around text.
pub(super) fn said(name: &str, class: &str, words: &str) -> String {
    around(name, class, &text(words))
}

/// An element with a class, around elements.
pub(super) fn around(name: &str, class: &str, inner: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<{name}{class}>{inner}</{name}>\n")
}

/// A list of texts; nothing where there are none.
pub(super) fn list<'a>(class: &str, items: impl IntoIterator<Item = &'a str>) -> String {
    let items: String = items.into_iter().map(|item| said("li", "", item)).collect();
    if items.is_empty() { String::new() } else { around("ul", class, &items) }
}

/// A command, as it is typed.
pub(super) fn command(command: &str) -> String {
    around("div", "command", &said("code", "", command))
}

/// Names and what they are.
pub(super) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: String = facts.into_iter().map(|(name, is)| said("dt", "", name) + &said("dd", "", &is)).collect();
    around("dl", "", &rows)
}

/// A table: heads, and rows of elements' insides. Columns but the first are numbers.
pub(super) fn table<const COLUMNS: usize>(
    heads: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> String {
    let class = |column: usize| if column == 0 { "" } else { "n" };
    let cells = |name: &str, cells: [String; COLUMNS]| -> String {
        let of = |(column, cell): (usize, String)| around(if column == 0 { "th" } else { name }, class(column), &cell);
        around("tr", "", &cells.into_iter().enumerate().map(of).collect::<String>())
    };
    let head = around("thead", "", &cells("th", heads.map(text)));
    let body: String = rows.map(|row| cells("td", row)).collect();
    around("div", "across", &around("table", "", &(head + &around("tbody", "", &body))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_opens_and_ends_nothing() {
        assert_eq!(said("p", "", "</p><script>\"\na"), "<p>&lt;/p&gt;&lt;script&gt;&quot;\na</p>\n");
        assert_eq!(list("", []), "");
    }
}
