//! Bars and courses, drawn with blocks.

use std::collections::VecDeque;
use std::time::Duration;

use crate::known::{Moment, SPAN};

const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar that is full at `share` 1, of so many letters; what is not filled is dotted where it is a table's, so that its end shows.
pub(super) fn bar(share: f64, width: usize, rest: char) -> String {
    let eighths = whole(share.clamp(0.0, 1.0) * width as f64 * 8.0);
    let mut bar: String = std::iter::repeat_n('█', eighths / 8).collect();
    if let Some(part) = EIGHTHS.get(eighths % 8).filter(|part| **part != ' ') {
        bar.push(*part);
    }
    let missing = width.saturating_sub(bar.chars().count());
    bar.extend(std::iter::repeat_n(rest, missing));
    bar
}

/// The last minutes, the newest at the right: each letter is the most that there was, compared with the most of all.
pub(super) fn course(course: &VecDeque<Moment>, now: Duration, width: usize) -> String {
    let most = most_in(course, now, width);
    let highest = most.iter().flatten().max().copied().unwrap_or(0).max(1);
    let letter = |entries: &Option<u32>| {
        let share = f64::from((*entries)?) / f64::from(highest);
        HEIGHTS.get(whole(share * (HEIGHTS.len() - 1) as f64)).copied()
    };
    most.iter().map(|entries| letter(entries).unwrap_or(' ')).collect()
}

/// The most entries in each of so many equal parts of the last minutes.
fn most_in(course: &VecDeque<Moment>, now: Duration, parts: usize) -> Vec<Option<u32>> {
    let mut most = vec![None; parts];
    for moment in course {
        let ago = now.saturating_sub(moment.at).as_secs_f64() / SPAN.as_secs_f64();
        let back = whole((ago * parts as f64).floor());
        if let Some(part) = parts.checked_sub(back + 1).and_then(|at| most.get_mut(at)) {
            *part = Some(part.map_or(moment.entries, |most: u32| most.max(moment.entries)));
        }
    }
    most
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, and not negative")]
fn whole(number: f64) -> usize {
    number.round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(0.0, 4, '·'), "····");
        assert_eq!(bar(0.5, 4, '·'), "██··");
        assert_eq!(bar(0.53, 4, '·'), "██▏·");
        assert_eq!(bar(7.0, 4, '·'), "████");
        assert_eq!(bar(f64::NAN, 2, '·'), "··");
    }

    #[test]
    fn a_course_has_its_newest_at_the_right_and_says_nothing_where_nothing_was_read() {
        let at = |secs, entries| Moment { at: Duration::from_secs(secs), entries };
        let moments = VecDeque::from([at(100, 10), at(250, 80), at(299, 40)]);
        assert_eq!(course(&moments, Duration::from_mins(5), 10), "   ▂    █▅");
        assert_eq!(course(&VecDeque::new(), Duration::from_mins(5), 3), "   ");
    }
}
