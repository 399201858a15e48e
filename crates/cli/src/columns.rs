//! A table for people.

/// Columns with their heads; every row has as many cells.
pub(crate) struct Columns {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// A table of so many rows, without a column yet.
    pub(crate) fn new(rows: usize) -> Self {
        Self { heads: Vec::new(), rows: vec![Vec::new(); rows] }
    }

    /// Adds a column.
    pub(crate) fn push(&mut self, head: impl Into<String>, cells: impl IntoIterator<Item = String>) {
        self.heads.push(head.into());
        for (row, cell) in self.rows.iter_mut().zip(cells) {
            row.push(cell);
        }
    }

    /// The lines, heads first: the cells of a column end below each other.
    pub(crate) fn lines(&self) -> Vec<String> {
        let all = || std::iter::once(&self.heads).chain(&self.rows);
        let width = |column: usize| all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<_> = (0..self.heads.len()).map(|column| width(column).unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
            format!("  {}", cells.join("  "))
        };
        all().map(line).collect()
    }
}

impl Columns {
    /// The lines as text, each behind so much.
    pub(crate) fn text(&self, indent: &str) -> String {
        let mut text = String::new();
        for line in self.lines() {
            text.push_str(indent);
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_end_below_each_other() {
        let mut columns = Columns::new(2);
        columns.push("peak", ["1", "12,345"].map(str::to_string));
        columns.push("of limit", ["<0.1%", "7.1%"].map(str::to_string));
        assert_eq!(columns.lines(), ["    peak  of limit", "       1     <0.1%", "  12,345      7.1%"]);
    }
}
