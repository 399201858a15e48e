//! Where among their open files programs have sockets that come and go.
//!
//! What is opened gets the lowest number that is free (open(2)), so the short connections of a program have few numbers, again and again. To
//! look there takes one readlink(2); a connection of a fraction of a millisecond is over before all open files of its program have been
//! looked at.

use std::collections::VecDeque;

/// An open file of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) pid: u32,
    /// Its number there.
    pub(crate) file: u32,
}

/// Places of sockets that came and went, the last ones first.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Where one was met that was looked for.
    met: VecDeque<Place>,
    /// Where another socket was in one look than in the look before.
    stirring: VecDeque<Place>,
}

impl Places {
    const MOST_MET: usize = 64;
    const MOST_STIRRING: usize = 32;
    const MOST_PROCESSES: usize = 8;

    pub(crate) fn has_met(&mut self, place: Place) {
        put_first(&mut self.met, place, Self::MOST_MET);
    }

    pub(crate) fn stirs(&mut self, place: Place) {
        put_first(&mut self.stirring, place, Self::MOST_STIRRING);
    }

    pub(crate) fn all(&self) -> Vec<Place> {
        let others = self.stirring.iter().filter(|place| !self.met.contains(place));
        self.met.iter().chain(others).copied().collect()
    }

    /// The processes where sockets were met, no more than a few.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut processes = Vec::new();
        for place in &self.met {
            if processes.len() < Self::MOST_PROCESSES && !processes.contains(&place.pid) {
                processes.push(place.pid);
            }
        }
        processes
    }
}

fn put_first(places: &mut VecDeque<Place>, place: Place, most: usize) {
    places.retain(|other| *other != place);
    places.push_front(place);
    places.truncate(most);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_and_come_first() {
        let mut places = Places::default();
        let place = |file| Place { pid: file % 10, file };
        for file in 0..100 {
            places.has_met(place(file));
            places.stirs(place(file));
        }
        places.has_met(place(57));
        places.stirs(place(200));
        let all = places.all();
        assert_eq!(all[..2], [place(57), place(99)]);
        assert_eq!(all[Places::MOST_MET - 1..], [place(36), place(200)], "and those that stir behind them");
        assert_eq!(places.processes(), [7, 9, 8, 6, 5, 4, 3, 2]);
    }
}
