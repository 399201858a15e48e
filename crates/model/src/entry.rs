//! One tracked flow.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Serialize, Serializer};

use crate::{Tuple, Zone};

/// An entry of the table, as a dump shows it. Small and `Copy`: reading a million of them allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The kernel's identifier (a keyed hash of the entry's address, so two entries may share one).
    pub id: u32,
    /// From the side that opened the flow.
    pub original: Tuple,
    /// As answers come; differs from the mirrored original where there is NAT.
    pub reply: Tuple,
    /// Zone; 0 where none is set. Zones that hold for one direction only count as the entry's zone.
    pub zone: Zone,
    /// Status bits.
    pub status: Status,
    /// Where the protocol's state machine stands.
    pub state: ProtocolState,
    /// Who sent the first FIN of a TCP flow (`IP_CT_TCP_FLAG_CLOSE_INIT`); `None` before that, and where both did.
    pub closed_first: Option<Side>,
    /// Whole seconds until the entry expires, rounded down; offloaded entries carry none.
    pub remaining_secs: Option<u32>,
    /// `ct mark`; 0 where none is set.
    pub mark: u32,
    /// When it was made, in nanoseconds since 1970 (`nf_conntrack_timestamp`).
    pub started_unix_nanos: Option<NonZeroU64>,
    /// Packets seen so far, both directions together (`nf_conntrack_acct`).
    pub packets: Option<NonZeroU64>,
    /// What the entry is seen to carry beyond the bare object.
    pub extensions: Extensions,
}

impl Entry {
    /// The entry of a flow without NAT that has seen one packet; what else is known is for the caller to say.
    pub fn of(original: Tuple) -> Self {
        Self {
            id: 0,
            original,
            reply: original.mirrored(),
            zone: Zone(0),
            status: Status::CONFIRMED,
            state: ProtocolState::None,
            closed_first: None,
            remaining_secs: None,
            mark: 0,
            started_unix_nanos: None,
            packets: None,
            extensions: Extensions::default(),
        }
    }

    /// Whether an accelerator handles the flow: such an entry shows neither timeout nor state.
    pub const fn is_offloaded(&self) -> bool {
        self.status.has(Status::OFFLOAD) || self.status.has(Status::HW_OFFLOAD)
    }

    /// Whether `early_drop` may kill it (`early_drop_list` in `nf_conntrack_core.c` passes over assured entries,
    /// dying ones, and those that are offloaded).
    pub const fn is_killable(&self) -> bool {
        !self.status.has(Status::ASSURED) && !self.status.has(Status::DYING) && !self.status.has(Status::OFFLOAD)
    }

    /// Whether gc under pressure may kill it though it is assured: TCP that is closing, SCTP that is shutting down
    /// (`can_early_drop` of the protocol trackers).
    pub const fn is_closing(&self) -> bool {
        match self.state {
            ProtocolState::Tcp(state) => state.is_closing(),
            ProtocolState::Sctp(state) => state.is_closing(),
            _ => false,
        }
    }
}

/// A side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The one that opened it.
    Client,
    /// The one that was opened to.
    Server,
}

/// The status bits of an entry (`IPS_*` in `linux/netfilter/nf_conntrack_common.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// Made by an expectation of a helper.
    pub const EXPECTED: Self = Self(1 << 0);
    /// A packet has come in the reply direction.
    pub const SEEN_REPLY: Self = Self(1 << 1);
    /// Not to be dropped early.
    pub const ASSURED: Self = Self(1 << 2);
    /// In the table.
    pub const CONFIRMED: Self = Self(1 << 3);
    /// Source address translated.
    pub const SRC_NAT: Self = Self(1 << 4);
    /// Destination address translated.
    pub const DST_NAT: Self = Self(1 << 5);
    /// On its way out.
    pub const DYING: Self = Self(1 << 9);
    /// Its timeout does not change.
    pub const FIXED_TIMEOUT: Self = Self(1 << 10);
    /// A helper was assigned by rule.
    pub const HELPER: Self = Self(1 << 13);
    /// Handled by a flowtable.
    pub const OFFLOAD: Self = Self(1 << 14);
    /// Handled by hardware.
    pub const HW_OFFLOAD: Self = Self(1 << 15);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// State of a protocol's tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolState {
    /// TCP.
    Tcp(TcpState),
    /// SCTP.
    Sctp(SctpState),
    /// DCCP, as the kernel numbers its states; kernels from 6.17 on track it no longer.
    Dccp(u8),
    /// The protocol has no states, or the entry shows none (offloaded ones do not).
    None,
    /// A state number that Plimsoll does not know.
    Unknown(u8),
}

impl fmt::Display for ProtocolState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(state) => f.pad(state.name()),
            Self::Sctp(state) => f.pad(state.name()),
            Self::Dccp(number) | Self::Unknown(number) => f.pad(&format!("state {number}")),
            Self::None => f.pad("-"),
        }
    }
}

macro_rules! kernel_states {
    ($(#[$doc:meta])* $name:ident { $($(#[$state_doc:meta])* $state:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$state_doc])* $state = $number,)*
        }

        impl $name {
            /// All states, in the kernel's order.
            pub const ALL: &[Self] = &[$(Self::$state),*];

            /// The state with the kernel's number, if there is one.
            pub const fn from_kernel(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$state),)*
                    _ => None,
                }
            }

            /// The kernel's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$state => $text,)*
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}

kernel_states! {
    /// TCP states (`enum tcp_conntrack` in `linux/netfilter/nf_conntrack_tcp.h`). Names speak of the flow, not of a
    /// socket: `CLOSE_WAIT` means that one side, either one, has closed.
    TcpState {
        /// No packet that opens a flow has been seen.
        None = 0 "NONE",
        /// SYN seen.
        SynSent = 1 "SYN_SENT",
        /// SYN and SYN-ACK seen.
        SynRecv = 2 "SYN_RECV",
        /// Handshake done, or picked up in the middle.
        Established = 3 "ESTABLISHED",
        /// First FIN seen.
        FinWait = 4 "FIN_WAIT",
        /// First FIN acknowledged.
        CloseWait = 5 "CLOSE_WAIT",
        /// Second FIN seen.
        LastAck = 6 "LAST_ACK",
        /// Second FIN acknowledged.
        TimeWait = 7 "TIME_WAIT",
        /// Reset.
        Close = 8 "CLOSE",
        /// SYN from both sides (the kernel's number was that of LISTEN).
        SynSent2 = 9 "SYN_SENT2",
    }
}

impl TcpState {
    /// States in which gc under pressure kills even an assured entry (`tcp_can_early_drop`).
    pub const fn is_closing(self) -> bool {
        matches!(self, Self::FinWait | Self::CloseWait | Self::LastAck | Self::TimeWait | Self::Close)
    }
}

kernel_states! {
    /// SCTP states (`enum sctp_conntrack` in `linux/netfilter/nf_conntrack_sctp.h`).
    SctpState {
        /// Nothing seen.
        None = 0 "NONE",
        /// Aborted or shut down.
        Closed = 1 "CLOSED",
        /// INIT seen.
        CookieWait = 2 "COOKIE_WAIT",
        /// COOKIE-ECHO seen.
        CookieEchoed = 3 "COOKIE_ECHOED",
        /// COOKIE-ACK seen.
        Established = 4 "ESTABLISHED",
        /// SHUTDOWN from the side that opened.
        ShutdownSent = 5 "SHUTDOWN_SENT",
        /// SHUTDOWN from the other side.
        ShutdownRecd = 6 "SHUTDOWN_RECD",
        /// SHUTDOWN-ACK seen.
        ShutdownAckSent = 7 "SHUTDOWN_ACK_SENT",
        /// Heartbeat on a path that is not established.
        HeartbeatSent = 8 "HEARTBEAT_SENT",
        /// Heartbeat answered (kernels before 6.3).
        HeartbeatAcked = 9 "HEARTBEAT_ACKED",
    }
}

impl SctpState {
    /// States in which gc under pressure kills even an assured entry (`sctp_can_early_drop`).
    pub const fn is_closing(self) -> bool {
        matches!(self, Self::ShutdownSent | Self::ShutdownRecd | Self::ShutdownAckSent)
    }
}

/// What an entry carries beyond the bare object, as far as a dump shows it. Event cache, timeout policy and
/// masquerading leave no attribute, so an entry may carry more than is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Extension {
    /// Packet and byte counters (`nf_conntrack_acct`).
    Accounting,
    /// Start time (`nf_conntrack_timestamp`).
    Timestamp,
    /// Labels.
    Labels,
    /// A helper's private data.
    Helper,
    /// Sequence adjustment by NAT helpers.
    SequenceAdjustment,
    /// SYN proxy.
    Synproxy,
}

impl Extension {
    /// Every extension that a dump can show.
    pub const ALL: [Self; 6] =
        [Self::Accounting, Self::Timestamp, Self::Labels, Self::Helper, Self::SequenceAdjustment, Self::Synproxy];

    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accounting => "accounting",
            Self::Timestamp => "timestamp",
            Self::Labels => "labels",
            Self::Helper => "helper",
            Self::SequenceAdjustment => "sequence adjustment",
            Self::Synproxy => "synproxy",
        }
    }
}

/// A set of extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions(u8);

impl Extensions {
    /// Adds one.
    pub const fn insert(&mut self, extension: Extension) {
        self.0 |= 1 << extension as u8;
    }

    /// Whether one is in the set.
    pub const fn contains(self, extension: Extension) -> bool {
        self.0 & (1 << extension as u8) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
