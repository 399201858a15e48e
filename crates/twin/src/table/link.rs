//! Chains: what leads from a bucket to its first node, and from each node to the next.

use super::room::Room;
use crate::Direction;

/// To a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(u32);

impl Link {
    /// To nothing.
    pub(super) const END: Self = Self(u32::MAX);

    /// To a slot's node: slot `s` has the nodes `2s` (original) and `2s + 1` (reply).
    pub(super) const fn to(slot: u32, direction: Direction) -> Self {
        Self(slot * 2 + direction as u32)
    }

    pub(super) const fn is_end(self) -> bool {
        self.0 == Self::END.0
    }

    pub(super) const fn leads_to(self, slot: u32, direction: Direction) -> bool {
        self.0 == slot * 2 + direction as u32
    }

    /// Where it leads, unless that is nowhere.
    #[inline]
    pub(super) const fn place(self) -> (u32, Direction) {
        (self.0 / 2, if self.0.is_multiple_of(2) { Direction::Original } else { Direction::Reply })
    }
}

/// A bucket: its chain, and how many nodes that has.
#[derive(Clone, Copy, Debug)]
#[repr(align(8))]
pub(super) struct Bucket {
    pub(super) first: Link,
    pub(super) nodes: u32,
}

impl Bucket {
    pub(super) const EMPTY: Self = Self { first: Link::END, nodes: 0 };
}

/// The links behind a slot's two nodes, by direction: within one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(8))]
pub(super) struct Links([Link; 2]);

impl Links {
    pub(super) const NONE: Self = Self([Link::END; 2]);

    #[inline]
    pub(super) const fn behind(self, direction: Direction) -> Link {
        self.0[direction as usize]
    }

    #[inline]
    pub(super) const fn behind_mut(&mut self, direction: Direction) -> &mut Link {
        &mut self.0[direction as usize]
    }
}

/// A node on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) slot: u32,
    pub(crate) direction: Direction,
}

/// Walks a chain.
pub(crate) struct Chain<'a> {
    pub(super) links: &'a Room<Links>,
    /// What leads on. It is not looked at before it is asked for: behind the node that is looked for nobody goes.
    pub(super) next: &'a Link,
}

impl Iterator for Chain<'_> {
    type Item = Node;

    #[inline]
    fn next(&mut self) -> Option<Node> {
        let link = *self.next;
        if link.is_end() {
            return None;
        }
        let (slot, direction) = link.place();
        self.next = &self.links[slot].0[direction as usize];
        Some(Node { slot, direction })
    }
}
