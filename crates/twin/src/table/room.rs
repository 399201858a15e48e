//! Growing arrays.

use std::ops::{Index, IndexMut};

use plimsoll_hints::{fetch_at, prefer_huge_pages};

/// An array with room for as many items as a table is to hold: memory that no item has taken yet is not taken from the host.
#[derive(Debug)]
pub(super) struct Room<T>(Vec<T>);

impl<T: Copy> Room<T> {
    /// Room for so many, if they are not very many; more is made as it is needed.
    pub(super) fn for_about(items: u32) -> Self {
        const MOST: usize = 1 << 20;
        let mut room = Self(Vec::new());
        room.grow_to((items as usize).min(MOST));
        room
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Puts an item behind the last, and returns its place.
    pub(super) fn push(&mut self, item: T) -> u32 {
        if self.0.len() == self.0.capacity() {
            self.grow_to(self.0.len() * 2);
        }
        let place = self.len();
        self.0.push(item);
        place
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> Option<&T> {
        self.0.get(place as usize)
    }

    /// Asks for the memory of an item.
    #[inline]
    pub(super) fn ask_for(&self, place: u32) {
        fetch_at(&self.0, place as usize);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// The first items lie in ordinary pages: a small table would take much memory by huge ones.
    fn grow_to(&mut self, items: usize) {
        const IN_ORDINARY_PAGES: usize = 1 << 15;
        // Where there is no such room, the allocator gives what it can as items come.
        if self.0.try_reserve_exact(items.saturating_sub(self.0.len())).is_ok() {
            let beyond = IN_ORDINARY_PAGES.saturating_sub(self.0.len());
            prefer_huge_pages(self.0.spare_capacity_mut().get_mut(beyond..).unwrap_or_default());
        }
    }
}

impl<T> Index<u32> for Room<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: u32) -> &T {
        &self.0[place as usize]
    }
}

impl<T> IndexMut<u32> for Room<T> {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut T {
        &mut self.0[place as usize]
    }
}

/// So many of one item.
pub(super) fn filled<T: Copy>(count: usize, item: T) -> Vec<T> {
    let mut items = Vec::with_capacity(count);
    prefer_huge_pages(items.spare_capacity_mut());
    items.resize(count, item);
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stay_where_they_were_put() {
        let mut room = Room::for_about(10);
        for item in 0..100_000 {
            assert_eq!(room.push(item), item);
        }
        room[70_000] = 7;
        assert_eq!((room.len(), room[69_999], room[70_000]), (100_000, 69_999, 7));
        assert_eq!(room.iter().filter(|item| **item == 7).count(), 2);
    }
}
