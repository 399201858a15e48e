//! Which keys there are, and what is shown.

use ratatui::style::Style;
use ratatui::text::Line;

use super::text::{heading, paragraph};

const KEYS: [(&str, &str); 10] = [
    ("↑ ↓  k j", "choose a row, or scroll"),
    ("PgUp PgDn", "a screenful; Home and End: the first, the last"),
    ("1 … 4, Tab", "overview, whose, states, findings"),
    ("← →  h l", "the namespace before, the namespace after"),
    ("Enter", "of a namespace: whose its entries are; of a finding: what `plimsoll explain` says"),
    ("s", "another order: by how full, by what is lost, by name"),
    ("p", "hold what is shown; readings go on"),
    ("?", "this"),
    ("Esc", "back, and then the end"),
    ("q  Ctrl-C", "the end"),
];

const NOTES: [(&str, &str); 5] = [
    ("load", "entries over the limit (nf_conntrack_max). Each namespace has the limit to itself."),
    ("new/s", "new entries a second, dated by the entries themselves; ranges are at 95%."),
    (
        "drop/s",
        "packets dropped because the table was full; fail/s: entries that could not be inserted (insert_failed); evict/s: entries killed to make room (early_drop).",
    ),
    ("last 5 min", "entries over time, compared with the most in that time."),
    (
        "cost",
        "counts and counters are read each interval. Entries are sampled more slowly, never for more than a twentieth of the time; nothing is written or subscribed to.",
    ),
];

pub(super) fn lines(width: usize) -> Vec<Line<'static>> {
    const COLUMN: usize = 14;
    let rows = |rows: &[(&str, &str)]| -> Vec<Line<'static>> {
        let row = |(what, says): &(&str, &str)| paragraph(&format!("  {what:<COLUMN$}"), says, width, Style::new());
        rows.iter().flat_map(row).collect()
    };
    let mut lines = vec![heading("Keys".to_string())];
    lines.extend(rows(&KEYS));
    lines.extend([Line::default(), heading("What is shown".to_string())]);
    lines.extend(rows(&NOTES));
    lines
}
