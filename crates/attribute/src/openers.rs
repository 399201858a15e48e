//! Who opened flows that are over, told by connections over the same link that came or went.

use std::collections::VecDeque;

use plimsoll_model::ProgramId;

/// So many connections whose program is known tell in which parts they are whose: a program that opens a sixth of them and more is among sixteen
/// with a probability of 95 %, if it is met as often as others are. One that is not would be among those that were not met: so these must
/// be the fewer.
const ENOUGH: usize = 16;

/// Who opened the connections that came or went; `None` for each whose program was not met.
#[derive(Debug)]
pub(crate) struct Openers(VecDeque<Option<ProgramId>>);

impl Openers {
    /// Flows that are over were opened in the parts of these. Those whose program was not met count as well, unless enough were.
    pub(crate) fn of(met: impl Iterator<Item = Option<ProgramId>>) -> Self {
        let mut all: VecDeque<_> = met.collect();
        if are_enough(all.iter().map(Option::is_some)) {
            all.retain(Option::is_some);
        }
        Self(all)
    }

    /// Who opened one flow more: each has its turn.
    pub(crate) fn turn(&mut self) -> Option<ProgramId> {
        let first = self.0.pop_front()?;
        self.0.push_back(first);
        first
    }
}

/// Whether enough connections have a program that is known, by whether each has.
pub(crate) fn are_enough(known: impl Iterator<Item = bool>) -> bool {
    let (mut known_so_far, mut unknown) = (0, 0);
    for is_known in known {
        *if is_known { &mut known_so_far } else { &mut unknown } += 1;
    }
    known_so_far >= ENOUGH && known_so_far > unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_part() {
        let some = |id| Some(ProgramId(id));
        let parts = |met: &[(Option<ProgramId>, usize)]| {
            let met = met.iter().flat_map(|(by, times)| std::iter::repeat_n(*by, *times));
            let mut openers = Openers::of(met);
            let turns: Vec<_> = (0..96).map(|_| openers.turn()).collect();
            [some(1), some(2), None].map(|by| turns.iter().filter(|turn| **turn == by).count())
        };
        assert_eq!(parts(&[]), [0, 0, 96]);
        assert_eq!(parts(&[(some(1), 2), (None, 1), (some(2), 1)]), [48, 24, 24]);
        assert_eq!(parts(&[(some(1), 12), (some(2), 4), (None, 15)]), [72, 24, 0], "enough are known");
        assert_eq!(parts(&[(some(1), 12), (some(2), 4), (None, 16)]), [36, 12, 48], "as many are not");
        assert_eq!(parts(&[(some(1), 15), (None, 1)]), [90, 0, 6], "too few are");
    }
}
