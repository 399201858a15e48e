//! The fewest packets that show a difference.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll_host::monotonic_now;

use super::contest::{Contest, Difference, Rulebook, Turns};
use super::flow::Sent;
use super::round::Played;
use crate::Error;

/// Leaves out packet after packet, for as long as the rest still shows a difference; and says which, in the end.
pub(super) fn shrunk(
    rulebook: &Rulebook,
    packets: &[Played],
    difference: &Difference,
    stop: &AtomicBool,
) -> Result<(Vec<Played>, Difference), Error> {
    let mut least = packets.to_vec();
    let Some(mut shown) = replay(rulebook, &least)? else {
        // Alone, the flow shows nothing: then all of it is told as it was.
        return Ok((least, difference.clone()));
    };
    let mut at = least.len();
    while at > 0 && !stop.load(Ordering::Relaxed) {
        at -= 1;
        let mut fewer = least.clone();
        fewer.remove(at);
        if fewer.is_empty() {
            continue;
        }
        if let Some(difference) = replay(rulebook, &fewer)? {
            (least, shown) = (fewer, difference);
            at = at.min(least.len());
        }
    }
    Ok((least, shown))
}

/// Plays packets in a namespace of their own, with the waits between them, and says how kernel and twin differ.
pub(super) fn replay(rulebook: &Rulebook, packets: &[Played]) -> Result<Option<Difference>, Error> {
    let mut contest = Contest::begin(rulebook)?;
    let mut turns = Turns::default();
    let begun = monotonic_now();
    let first = packets.first().map_or(Duration::ZERO, |played| played.at);
    for played in packets {
        // Of a wait, only what can matter: a round's own steps take less than a second.
        let due = begun + played.at.saturating_sub(first);
        let wait = due.saturating_sub(monotonic_now());
        if wait > Duration::from_secs(1) || played.at.saturating_sub(first) > Duration::from_secs(3) {
            thread::sleep(wait);
        }
        let sent = Sent::from(played);
        let failed = |answer: std::io::Error| Error::Send { answer: answer.to_string() };
        if let Some(difference) = contest.send(&sent, &mut turns, true).map_err(failed)? {
            return Ok(Some(difference));
        }
        if let Some((_, difference)) = contest.compare()?.into_iter().next() {
            return Ok(Some(difference));
        }
    }
    Ok(None)
}
