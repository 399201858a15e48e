//! The picture for a terminal.

use std::time::Duration;

use plimsoll_diagnose::words::grouped;
use plimsoll_simulate::{Outcome, Reading};

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
        several => several.iter().for_each(|(letter, outcome)| letters(&mut cells, *letter, outcome, &picture)),
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
            let Some(reading) = reading_in(outcome, column, columns, picture.lasted) else { continue };
            let below = |number: u32| eighths_of(number, picture.top).saturating_sub(8 * line).min(8);
            let (live, all) = (below(reading.live), below(reading.occupancy));
            *cell = match (live, all) {
                (0..=7, 8) => EXPIRED,
                (_, all) => EIGHTHS.get(all).copied().unwrap_or(' '),
            };
        }
    }
}

fn letters(cells: &mut [Vec<char>], letter: char, outcome: &Outcome, picture: &Picture) {
    let columns = cells.first().map_or(0, Vec::len);
    for column in 0..columns {
        let Some(reading) = reading_in(outcome, column, columns, picture.lasted) else { continue };
        let line = line_of(reading.occupancy, picture.top);
        if let Some(cell) = cells.get_mut(line).and_then(|row| row.get_mut(column)).filter(|cell| **cell == ' ') {
            *cell = letter;
        }
    }
}

/// The highest reading within a column; where there is none, the last one before it. None beyond the end.
fn reading_in(outcome: &Outcome, column: usize, columns: usize, lasted: Duration) -> Option<&Reading> {
    let edge = |column: usize| lasted.mul_f64(column as f64 / columns as f64);
    let (from, until) = (edge(column), edge(column + 1));
    if from > outcome.lasted {
        return None;
    }
    let within = outcome.series.iter().filter(|reading| reading.at >= from && reading.at < until);
    let before = || outcome.series.iter().rev().find(|reading| reading.at < from);
    within.max_by_key(|reading| reading.occupancy).or_else(before)
}
