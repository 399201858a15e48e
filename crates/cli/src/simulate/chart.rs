//! The picture for a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_diagnose::words::{grouped, rounded};
use plimsoll_simulate::Outcome;

use super::picture::{PARTS, Picture};
use super::report::time;

/// Lines between two marks of the axis of entries.
const LINES_A_PART: usize = 3;
const LINES: usize = LINES_A_PART * PARTS as usize;

/// The least columns in which anything can be seen.
const LEAST_COLUMNS: usize = 20;

/// A cell filled by so many eighths, from below.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A cell of entries that have expired and are not freed.
const EXPIRED: char = '░';
const LIMIT: char = '┄';

/// Entries over time, within a width: one outcome as an area, several each by its letter.
pub(super) fn chart(outcomes: &[(char, &Outcome)], width: usize) -> String {
    let picture = Picture::of(outcomes.iter().map(|(_, outcome)| *outcome));
    let marks: Vec<_> = picture.marks().map(grouped).collect();
    let gutter = marks.iter().map(String::len).max().unwrap_or(0);
    let limits: Vec<_> = picture
        .limits
        .iter()
        .map(|limit| (line_of(*limit, picture.top), format!(" limit {}", grouped((*limit).into()))))
        .collect();
    let margin = limits.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
    let columns = width.saturating_sub(gutter + 2 + margin).max(LEAST_COLUMNS);

    let mut cells = vec![vec![' '; columns]; LINES];
    match outcomes {
        [(_, outcome)] => area(&mut cells, outcome, &picture),
        several => letters(&mut cells, several, &picture),
    }
    for (line, _) in &limits {
        for cell in cells.get_mut(*line).into_iter().flatten().filter(|cell| **cell == ' ') {
            *cell = LIMIT;
        }
    }

    let mut text = String::new();
    for (line, row) in cells.iter().enumerate().rev() {
        // A mark stands at the upper edge of its line.
        let mark = if (line + 1) % LINES_A_PART == 0 { marks.get((line + 1) / LINES_A_PART) } else { None };
        let axis = if mark.is_some() { '┤' } else { '│' };
        let row: String = row.iter().collect();
        let limit = limits.iter().find(|(at, _)| *at == line).map_or("", |(_, text)| text);
        let full = format!("{:>gutter$}{axis}{row}{limit}", mark.map_or("", String::as_str));
        text.push_str(full.trim_end());
        text.push('\n');
    }
    text.push_str(&format!("{:>gutter$}└{}\n", 0, "─".repeat(columns)));
    let (middle, end) = (time(picture.lasted / 2), time(picture.lasted));
    let half = columns / 2;
    text.push_str(&format!(
        "{:>gutter$} {:<half$}{middle:<rest$}{end}\n",
        "",
        "0 s",
        rest = (columns - half).saturating_sub(end.chars().count())
    ));
    if let Some(limit) = picture.above {
        text.push_str(&format!("{:>gutter$} The limit, {}, lies far above.\n", "", grouped(limit.into())));
    }
    text
}

fn line_of(number: u32, top: u64) -> usize {
    let line = u64::from(number) * LINES as u64 / top;
    usize::try_from(line).unwrap_or(LINES).min(LINES - 1)
}

/// Eighths of a line below a number.
fn eighths_of(number: u32, top: u64) -> usize {
    let eighths = (u64::from(number) * LINES as u64 * 8).div_ceil(top);
    usize::try_from(eighths).unwrap_or(usize::MAX)
}

fn area(cells: &mut [Vec<char>], outcome: &Outcome, picture: &Picture) {
    for (line, row) in cells.iter_mut().enumerate() {
        let columns = row.len();
        for (column, cell) in row.iter_mut().enumerate() {
            let Some(held) = held_in(outcome, column, columns, picture.lasted) else { continue };
            let below = |number: u32| eighths_of(number, picture.top).saturating_sub(8 * line).min(8);
            let (live, all) = (below(held.live), below(held.occupancy));
            *cell = match (live, all) {
                (0..=7, 8) => EXPIRED,
                (_, all) => EIGHTHS.get(all).copied().unwrap_or(' '),
            };
        }
    }
}

/// Where several meet they take turns, so that each is seen.
fn letters(cells: &mut [Vec<char>], outcomes: &[(char, &Outcome)], picture: &Picture) {
    let columns = cells.first().map_or(0, Vec::len);
    for column in 0..columns {
        let mut by_line: BTreeMap<usize, Vec<char>> = BTreeMap::new();
        for (letter, outcome) in outcomes {
            if let Some(held) = held_in(outcome, column, columns, picture.lasted) {
                by_line.entry(line_of(held.occupancy, picture.top)).or_default().push(*letter);
            }
        }
        for (line, letters) in by_line {
            let letter = letters.get(column % letters.len());
            if let Some((cell, letter)) = cells.get_mut(line).and_then(|row| row.get_mut(column)).zip(letter) {
                *cell = *letter;
            }
        }
    }
}

/// What the table held.
#[derive(Clone, Copy, Debug)]
struct Held {
    occupancy: u32,
    live: u32,
}

/// The highest reading within a column; where there is none, what lies between the readings beside it. None beyond the end.
fn held_in(outcome: &Outcome, column: usize, columns: usize, lasted: Duration) -> Option<Held> {
    let edge = |column: usize| lasted.mul_f64(column as f64 / columns as f64);
    let (from, until) = (edge(column), edge(column + 1));
    let within = outcome.series.iter().filter(|reading| reading.at >= from && reading.at < until);
    if let Some(highest) = within.max_by_key(|reading| reading.occupancy) {
        return Some(Held { occupancy: highest.occupancy, live: highest.live });
    }
    let before = outcome.series.iter().rev().find(|reading| reading.at < from)?;
    let after = outcome.series.iter().find(|reading| reading.at >= until)?;
    let share = from.saturating_sub(before.at).div_duration_f64(after.at.saturating_sub(before.at));
    let between = |before: u32, after: u32| {
        let number = f64::from(before) + (f64::from(after) - f64::from(before)) * share;
        u32::try_from(rounded(number)).unwrap_or(u32::MAX)
    };
    Some(Held { occupancy: between(before.occupancy, after.occupancy), live: between(before.live, after.live) })
}
