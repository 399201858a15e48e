//! Packets that are alike to whoever asks.

use plimsoll_model::Protocol;

use crate::key::{Field, IPV4, IPV6, LOCAL, NO_INTERFACE, interface};
use crate::numbers::Numbers;

/// A class of packets: every packet whose fields lie in these sets. Packets by loopback, which come by output and prerouting both, are
/// in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketClass {
    route: Route,
    fields: [Numbers; Field::ALL.len()],
}

/// The way of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// From elsewhere to an address of this host.
    ToHost,
    /// From this host to elsewhere.
    FromHost,
    /// From elsewhere to elsewhere.
    Forwarded,
}

/// The version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl PacketClass {
    /// All packets of a version that go that way.
    pub fn new(route: Route, version: IpVersion) -> Self {
        let all = Self { route, fields: Field::ALL.map(Field::every) };
        let (family, last) = match version {
            IpVersion::V4 => (IPV4, u32::MAX.into()),
            IpVersion::V6 => (IPV6, u128::MAX),
        };
        let devices = Field::InInterface.every().minus(&interface("lo").unwrap_or_default());
        let devices = devices.minus(&Numbers::one(NO_INTERFACE));
        let local = Numbers::one(LOCAL);
        let elsewhere = Field::DestinationKind.every().minus(&local);
        let none = Numbers::one(NO_INTERFACE);
        let (from, to) = match route {
            Route::ToHost => (&devices, &none),
            Route::FromHost => (&none, &devices),
            Route::Forwarded => (&devices, &devices),
        };
        let all = all
            .with(Field::Family, &Numbers::one(family))
            .with(Field::Source, &Numbers::range(0, last))
            .with(Field::Destination, &Numbers::range(0, last))
            .with(Field::InInterface, from)
            .with(Field::OutInterface, to);
        match route {
            Route::ToHost => all.with(Field::SourceKind, &elsewhere).with(Field::DestinationKind, &local),
            Route::FromHost => all.with(Field::SourceKind, &local).with(Field::DestinationKind, &elsewhere),
            // One that claims a local source is dropped by routing (`fib_validate_source` in `fib_frontend.c`).
            Route::Forwarded => all.with(Field::SourceKind, &elsewhere).with(Field::DestinationKind, &elsewhere),
        }
    }

    /// Those of its packets whose field is one of these.
    #[must_use]
    pub fn with(mut self, field: Field, numbers: &Numbers) -> Self {
        let held = self.slot(field);
        *held = held.and(numbers);
        self
    }

    /// Those of a protocol.
    #[must_use]
    pub fn of(self, protocol: Protocol) -> Self {
        self.with(Field::Protocol, &Numbers::one(protocol.0.into()))
    }

    /// What a field may be.
    pub fn field(&self, field: Field) -> &Numbers {
        static NONE: Numbers = Numbers::NONE;
        self.fields.get(field as usize).unwrap_or(&NONE)
    }

    /// Where they go.
    pub const fn route(&self) -> Route {
        self.route
    }

    /// The version of IP; `None` where both, or neither, may be.
    pub fn version(&self) -> Option<IpVersion> {
        match self.field(Field::Family).single() {
            Some(IPV4) => Some(IpVersion::V4),
            Some(IPV6) => Some(IpVersion::V6),
            _ => None,
        }
    }

    /// Whether no packet is in it.
    pub fn is_empty(&self) -> bool {
        self.fields.iter().any(Numbers::is_empty)
    }

    /// Packets that are in both; those of different ways are never the same.
    #[must_use]
    pub fn and(&self, other: &Self) -> Option<Self> {
        let both = Field::ALL.into_iter().fold(self.clone(), |both, field| both.with(field, other.field(field)));
        (self.route == other.route && !both.is_empty()).then_some(both)
    }

    /// The packets that answer these: source and destination change places, and so do the devices.
    #[must_use]
    pub fn answers(&self) -> Self {
        let route = match self.route {
            Route::ToHost => Route::FromHost,
            Route::FromHost => Route::ToHost,
            Route::Forwarded => Route::Forwarded,
        };
        let mirrored = |field| match field {
            Field::Source => Field::Destination,
            Field::Destination => Field::Source,
            Field::SourcePort => Field::DestinationPort,
            Field::DestinationPort => Field::SourcePort,
            Field::InInterface => Field::OutInterface,
            Field::OutInterface => Field::InInterface,
            Field::SourceKind => Field::DestinationKind,
            Field::DestinationKind => Field::SourceKind,
            other => other,
        };
        Self { route, fields: Field::ALL.map(|field| self.field(mirrored(field)).clone()) }
    }

    /// With a field that is one of these, whatever it was.
    pub(crate) fn set(mut self, field: Field, numbers: Numbers) -> Self {
        *self.slot(field) = numbers;
        self
    }

    /// Lets a field be anything: what translation has written is not reckoned.
    pub(crate) fn forget(&mut self, field: Field) {
        *self.slot(field) = field.every();
    }

    pub(crate) fn on(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    pub(crate) fn slot(&mut self, field: Field) -> &mut Numbers {
        #[expect(clippy::indexing_slicing, reason = "one slot for each field of `Field::ALL`, in its order")]
        &mut self.fields[field as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_slots() {
        for (at, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, at);
        }
    }

    #[test]
    fn answers_of_answers_are_the_packets_themselves() {
        for route in [Route::ToHost, Route::FromHost, Route::Forwarded] {
            let class = PacketClass::new(route, IpVersion::V6).of(Protocol::UDP);
            let class = class.with(Field::DestinationPort, &Numbers::one(53));
            assert_eq!(class.answers().answers(), class);
            assert_eq!(class.answers().field(Field::SourcePort).single(), Some(53));
        }
    }
}
