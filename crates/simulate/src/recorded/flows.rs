//! What is remembered of flows.

use std::net::IpAddr;

use plimsoll_model::{Protocol, Tuple};

use super::key::{Key, Narrow, Which, Wide, narrow, wide};
use super::table::{self, Table};

/// Flows, each with what is remembered of it.
#[derive(Debug)]
pub(super) struct Flows<T> {
    v4: Table<Narrow, T>,
    v6: Table<Wide, T>,
}

/// A flow to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    V4(table::Sought<Narrow>),
    V6(table::Sought<Wide>),
}

impl<T> Flows<T> {
    pub(super) fn new() -> Self {
        Self { v4: Table::new(), v6: Table::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Begins to look for a tuple's flow, and says which of its tuples that is; `None` of ICMP that is no query and no answer to one.
    #[expect(clippy::inline_always, reason = "a tuple that was just read goes from register to register")]
    #[inline(always)]
    pub(super) fn ask(&self, tuple: &Tuple) -> Option<(Sought, Which)> {
        match (tuple.source, tuple.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let (key, which) = Key::of(tuple, [source, destination].map(narrow))?;
                Some((Sought::V4(self.v4.ask(key)), which))
            }
            _ => self.ask_wide(tuple),
        }
    }

    #[inline(never)]
    fn ask_wide(&self, tuple: &Tuple) -> Option<(Sought, Which)> {
        let (key, which) = Key::of(tuple, [tuple.source, tuple.destination].map(wide))?;
        Some((Sought::V6(self.v6.ask(key)), which))
    }

    /// Takes what was sought for, and asks for what is probably the flow.
    #[inline]
    pub(super) fn ask_on(&self, sought: &Sought) {
        match sought {
            Sought::V4(sought) => self.v4.ask_on(sought),
            Sought::V6(sought) => self.v6.ask_on(sought),
        }
    }

    /// A flow, if it is there.
    #[inline]
    pub(super) fn get_mut(&mut self, sought: &Sought) -> Option<&mut T> {
        match sought {
            Sought::V4(sought) => self.v4.get_mut(sought),
            Sought::V6(sought) => self.v6.get_mut(sought),
        }
    }

    /// Puts a flow in that is not there.
    pub(super) fn insert(&mut self, sought: &Sought, known: T) {
        match sought {
            Sought::V4(sought) => self.v4.insert(sought, known),
            Sought::V6(sought) => self.v6.insert(sought, known),
        }
    }

    /// Forgets those that are not to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Protocol, &T) -> bool) {
        self.v4.retain(|key, known| keep(key.protocol(), known));
        self.v6.retain(|key, known| keep(key.protocol(), known));
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;
    use plimsoll_model::Layer4;
    use plimsoll_twin::inverted;

    use super::*;

    fn drawn(draw: &mut Draw) -> Tuple {
        let is_v6 = draw.below(2) == 0;
        let address = |draw: &mut Draw| -> IpAddr {
            match u8::try_from(draw.below(3)).unwrap() {
                host if is_v6 => [0x20, 1, host, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].into(),
                host => [10, 0, 0, host].into(),
            }
        };
        let small = |draw: &mut Draw, below| u8::try_from(draw.below(below)).unwrap();
        let (protocol, layer4) = match draw.below(4) {
            0 => (Protocol(99), Layer4::None),
            1 => {
                let kinds: [u8; 4] = if is_v6 { [128, 129, 139, 140] } else { [8, 0, 13, 14] };
                let kind = kinds[draw.below(4) as usize];
                let protocol = if is_v6 { Protocol::ICMPV6 } else { Protocol::ICMP };
                (protocol, Layer4::Icmp { id: small(draw, 2).into(), kind, code: small(draw, 2) })
            }
            other => {
                let protocol = if other == 2 { Protocol::TCP } else { Protocol::UDP };
                let ports = Layer4::Ports { source: small(draw, 3).into(), destination: small(draw, 3).into() };
                (protocol, ports)
            }
        };
        Tuple { source: address(draw), destination: address(draw), protocol, layer4 }
    }

    #[test]
    fn tuples_are_of_one_flow_where_one_answers_the_other_and_only_there() {
        let mut draw = Draw::new(5);
        let flows = Flows::<()>::new();
        for _ in 0..300_000 {
            let [one, other] = [(); 2].map(|()| drawn(&mut draw));
            let answer = inverted(&one).unwrap();
            let [(flow, which), (flow_of_other, which_of_other)] = [one, other].map(|tuple| flows.ask(&tuple).unwrap());
            assert_eq!(flow == flow_of_other, one == other || answer == other, "{one:?} {other:?}");
            if flow == flow_of_other {
                assert_eq!(which == which_of_other, one == other, "{one:?} {other:?}");
            }
            assert_eq!(flows.ask(&answer).unwrap().0, flow);
        }
        let unreachable = Layer4::Icmp { id: 0, kind: 3, code: 0 };
        assert_eq!(flows.ask(&Tuple { protocol: Protocol::ICMP, layer4: unreachable, ..drawn(&mut draw) }), None);
    }
}
