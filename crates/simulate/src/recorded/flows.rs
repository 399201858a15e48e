//! Which flows there are, each with a number.

use std::net::IpAddr;

use plimsoll_model::Tuple;

use super::key::{Key, Narrow, Which, Wide, narrow, wide};
use super::table::{self, Table};

/// Flows by their tuples, numbered as they came.
#[derive(Debug)]
pub(super) struct Flows {
    v4: Table<Narrow>,
    v6: Table<Wide>,
    count: u32,
}

/// A flow to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    V4(table::Sought<Narrow>),
    V6(table::Sought<Wide>),
}

impl Flows {
    pub(super) fn new() -> Self {
        Self { v4: Table::new(), v6: Table::new(), count: 0 }
    }

    /// How many there are. Each has a number below that.
    pub(super) const fn count(&self) -> u32 {
        self.count
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

    /// A flow's number. One that is not there gets the next.
    #[inline]
    pub(super) fn number(&mut self, sought: &Sought) -> u32 {
        let known = match sought {
            Sought::V4(sought) => self.v4.get(sought),
            Sought::V6(sought) => self.v6.get(sought),
        };
        known.unwrap_or_else(|| self.insert(sought))
    }

    #[inline(never)]
    fn insert(&mut self, sought: &Sought) -> u32 {
        let number = self.count;
        match sought {
            Sought::V4(sought) => self.v4.insert(sought, number),
            Sought::V6(sought) => self.v6.insert(sought, number),
        }
        self.count += 1;
        number
    }

    /// Forgets all but those of these numbers, in their order, and numbers them anew.
    pub(super) fn keep(&mut self, kept: &[u32]) {
        let mut renumbered = vec![None; self.count as usize];
        self.count = 0;
        for number in kept {
            if let Some(place) = renumbered.get_mut(*number as usize) {
                *place = Some(self.count);
            }
            self.count += 1;
        }
        let number_of = |number: u32| renumbered.get(number as usize).copied().flatten();
        self.v4.renumber(number_of);
        self.v6.renumber(number_of);
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;
    use plimsoll_model::{Layer4, Protocol};
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
        let flows = Flows::new();
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

    #[test]
    fn those_that_are_kept_have_the_lowest_numbers_in_their_order() {
        let mut flows = Flows::new();
        let tuple = |number: u16| {
            let ports = Layer4::Ports { source: number, destination: 53 };
            let addresses =
                if number.is_multiple_of(2) { ["10.0.0.1", "10.0.0.2"] } else { ["2001:db8::1", "2001:db8::2"] };
            let [source, destination] = addresses.map(|address| address.parse().unwrap());
            Tuple { source, destination, protocol: Protocol::UDP, layer4: ports }
        };
        let number = |flows: &mut Flows, of| flows.number(&flows.ask(&tuple(of)).unwrap().0);
        assert_eq!([0, 1, 2, 3, 1].map(|of| number(&mut flows, of)), [0, 1, 2, 3, 1]);
        flows.keep(&[1, 2]);
        assert_eq!(flows.count(), 2);
        assert_eq!([2, 1, 3, 0, 3].map(|of| number(&mut flows, of)), [1, 0, 2, 3, 2]);
    }
}
