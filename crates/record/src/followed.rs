//! Flows that are followed, found by their keys.

use std::collections::HashMap;
use std::collections::hash_map;
use std::hint::black_box;

use plimsoll_ctnetlink::Listener;
use plimsoll_hints::prefer_huge_pages;
use plimsoll_recording::FlowKey;

use crate::keys::KeyState;

/// Flows, side by side, and where each lies. A map that held them itself would be half empty, and would copy all of them
/// whenever it grows: longer than the receive buffer lasts.
///
/// Room for all that there may be is reserved, which takes no memory before it is used.
#[derive(Debug)]
pub(crate) struct Followed<F> {
    places: HashMap<FlowKey, u32, KeyState>,
    flows: Vec<F>,
    /// Places of flows that are gone.
    free: Vec<u32>,
}

impl<F: Copy> Followed<F> {
    /// None yet, and room for so many.
    pub(crate) fn with_room_for(most: u64) -> Self {
        let mut flows = Vec::new();
        // Without it they are copied as they become more, and are found more slowly.
        if usize::try_from(most).is_ok_and(|most| flows.try_reserve_exact(most).is_ok()) {
            prefer_huge_pages(flows.spare_capacity_mut());
        }
        Self { flows, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn get(&self, key: FlowKey) -> Option<&F> {
        self.flows.get(*self.places.get(&key)? as usize)
    }

    /// Has the processor bring flows near, all of them at once, by what `touch` reads. Most it has not seen for seconds; to wait
    /// for the memory of one after the other takes longer than all else that is done with an event.
    #[inline]
    pub(crate) fn fetch<T>(&self, keys: impl Iterator<Item = FlowKey>, touch: impl Fn(&F) -> T) {
        let mut places = [u32::MAX; Listener::BATCH];
        for (place, key) in places.iter_mut().zip(keys) {
            *place = self.places.get(&key).copied().unwrap_or(u32::MAX);
        }
        for flow in places.iter().filter_map(|place| self.flows.get(*place as usize)) {
            black_box(touch(flow));
        }
    }

    /// Follows a flow, in place of one of the same key, which is given back.
    #[inline]
    pub(crate) fn insert(&mut self, key: FlowKey, flow: F) -> Option<F> {
        match self.places.entry(key) {
            hash_map::Entry::Occupied(there) => {
                let there = self.flows.get_mut(*there.get() as usize)?;
                Some(std::mem::replace(there, flow))
            }
            hash_map::Entry::Vacant(vacant) => {
                // There are fewer flows than entries, which the kernel counts in 32 bits.
                let place = self.free.pop().unwrap_or(u32::try_from(self.flows.len()).unwrap_or(u32::MAX));
                vacant.insert(place);
                match self.flows.get_mut(place as usize) {
                    Some(there) => *there = flow,
                    None => self.flows.push(flow),
                }
                None
            }
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: FlowKey) -> Option<&mut F> {
        self.flows.get_mut(*self.places.get(&key)? as usize)
    }

    /// Gives a flow up. What it was stays there until another takes its place.
    #[inline]
    pub(crate) fn remove(&mut self, key: FlowKey) -> Option<&F> {
        let place = self.places.remove(&key)?;
        self.free.push(place);
        self.flows.get(place as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (FlowKey, &F)> {
        self.places.iter().filter_map(|(key, place)| Some((*key, self.flows.get(*place as usize)?)))
    }

    /// Gives up those that are not to be kept.
    pub(crate) fn retain(&mut self, mut is_kept: impl FnMut(&mut F) -> bool) {
        let (flows, free) = (&mut self.flows, &mut self.free);
        self.places.retain(|_, place| {
            let is_kept = flows.get_mut(*place as usize).is_some_and(&mut is_kept);
            if !is_kept {
                free.push(*place);
            }
            is_kept
        });
    }

    /// All of them.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = (FlowKey, F)> {
        let flows = self.flows;
        self.places.into_iter().filter_map(move |(key, place)| Some((key, *flows.get(place as usize)?)))
    }
}

impl<F> Default for Followed<F> {
    fn default() -> Self {
        Self { places: HashMap::default(), flows: Vec::new(), free: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_key_and_the_place_of_one_that_is_gone_is_taken_again() {
        let mut followed = Followed::with_room_for(10);
        for key in 0..1000 {
            assert_eq!(followed.insert(FlowKey(key), key), None);
        }
        assert_eq!(followed.insert(FlowKey(3), 33), Some(3));
        assert_eq!(followed.get(FlowKey(3)), Some(&33));
        assert_eq!(followed.len(), 1000);
        assert_eq!(followed.remove(FlowKey(3)), Some(&33));
        assert_eq!(followed.remove(FlowKey(3)), None);
        followed.retain(|flow| *flow % 2 == 0);
        assert_eq!(followed.len(), 500);
        for key in 2000..2500 {
            followed.insert(FlowKey(key), key);
        }
        assert_eq!(followed.flows.len(), 1000);
        followed.fetch([FlowKey(3), FlowKey(2000)].into_iter(), |flow| *flow);
        *followed.get_mut(FlowKey(2000)).unwrap() = 7;
        let mut all: Vec<_> = followed.iter().map(|(key, flow)| (key.0, *flow)).collect();
        all.sort_unstable();
        let expected = (0..1000).step_by(2).map(|key| (key, key));
        let expected = expected.chain([(2000, 7)]).chain((2001..2500).map(|key| (key, key)));
        assert!(all.iter().copied().eq(expected));
        let mut left: Vec<_> = followed.into_iter().map(|(key, flow)| (key.0, flow)).collect();
        left.sort_unstable();
        assert_eq!(left, all);
    }
}
