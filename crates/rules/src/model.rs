//! The ruleset in force: tables, chains, rules and sets, whoever wrote them.

use plimsoll_model::Untrusted;

use crate::key::{Field, Key};
use crate::numbers::Numbers;

/// All tables of a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Tables, nftables' first.
    pub tables: Vec<Table>,
    /// What was read and not understood, and belongs to no rule.
    pub unknown: Vec<Untrusted>,
}

impl Ruleset {
    /// The same without a table, by family and name as nft writes them (`inet plimsoll`).
    #[must_use]
    pub fn without(mut self, table: &str) -> Self {
        self.tables.retain(|other| format!("{} {}", other.family.name(), other.name) != table);
        self
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Who evaluates it, and by which program it is written.
    pub origin: Origin,
    /// Whose packets it sees.
    pub family: Family,
    /// Its name, as it came.
    pub name: String,
    /// Its chains.
    pub chains: Vec<Chain>,
    /// Its sets and maps that have a name.
    pub sets: Vec<NamedSet>,
}

/// Where a table lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// In nftables.
    Nft,
    /// In nftables, written by iptables-nft: what it says in `xt` is known from iptables-nft-save alone.
    IptablesNft,
    /// In the kernel's older tables, which nftables does not show.
    IptablesLegacy,
}

/// The family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Both.
    Inet,
    /// One device's packets, before and after all others.
    Netdev,
    /// Frames that a bridge passes on.
    Bridge,
    /// ARP.
    Arp,
}

impl Family {
    /// As nft writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Netdev => "netdev",
            Self::Bridge => "bridge",
            Self::Arp => "arp",
        }
    }

    /// By nft's name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Ip, Self::Ip6, Self::Inet, Self::Netdev, Self::Bridge, Self::Arp]
            .into_iter()
            .find(|family| family.name() == name)
    }
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name, as it came.
    pub name: String,
    /// Where packets come to it; `None` where other chains send them.
    pub base: Option<Base>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// How packets come to a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The hook.
    pub hook: Hook,
    /// Its place among the hook's chains: the lowest is first.
    pub priority: i32,
    /// What kind of chain.
    pub kind: ChainKind,
    /// What becomes of packets that no rule decides on.
    pub policy: Policy,
    /// The devices, where it is for these alone (`netdev`, and `ingress` of `inet`).
    pub devices: Vec<String>,
}

/// A place on the way of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// As the device hands it over.
    Ingress,
    /// Before it is known where to.
    Prerouting,
    /// To this host.
    Input,
    /// Onwards.
    Forward,
    /// From this host.
    Output,
    /// On its way out.
    Postrouting,
    /// As the device gets it.
    Egress,
}

impl Hook {
    /// As nft writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Egress => "egress",
        }
    }

    /// By the name that nft, or in capitals iptables, has for it.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Ingress, Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting, Self::Egress]
            .into_iter()
            .find(|hook| hook.name().eq_ignore_ascii_case(name))
    }
}

/// The kind of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainKind {
    /// Every packet goes through it.
    Filter,
    /// As `Filter`, and a packet whose mark or address changes is routed again.
    Route,
    /// Only the first packet of a tracked flow goes through it (`nf_nat_inet_fn` in `nf_nat_core.c`).
    Nat,
}

/// What becomes of packets that no rule of a base chain decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// They go on.
    Accept,
    /// They are dropped.
    Drop,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// nftables' number for it, unique in its table.
    pub handle: Option<u64>,
    /// What its author wrote of it.
    pub comment: Option<Untrusted>,
    /// As a person reads it.
    pub text: Untrusted,
    /// Matches and statements, in order: the first match that fails ends it.
    pub terms: Vec<Term>,
}

/// A part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A condition.
    Match(Match),
    /// What is done.
    Statement(Statement),
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// Values of the packet, side by side, are in a set, or are not.
    Lookup {
        /// The values.
        keys: Vec<Key>,
        /// The set.
        set: Set,
        /// Which of both.
        sense: Sense,
    },
    /// A condition whose outcome is not reckoned.
    Opaque(Opaque),
}

/// Whether what is asked for must be so, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sense {
    /// It must be so.
    Is,
    /// It must not.
    IsNot,
}

/// A condition of which it is known only what it depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opaque {
    /// As a person reads it.
    pub text: Untrusted,
    /// What it depends on.
    pub depends: Depends,
}

/// What the outcome of a condition depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depends {
    /// Addresses and ports alone: the same for all packets of a flow that go in one direction, by whatever device.
    Flow,
    /// The packet and its surroundings: the same for a packet, tracked or not.
    Packet,
    /// The packets that have come to the rule before: limits, quotas, counts.
    History,
    /// The packet's entry in the tracking table. Without one the rule does not match.
    Entry,
    /// As `Entry`, but without one it does match: `xt_helper` inverted.
    NoEntry,
    /// Not known.
    Unknown,
}

/// A set of values, in the rule itself or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    /// Elements.
    Elements(Vec<Element>),
    /// A set of the same table.
    Named(String),
}

/// An element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The values that it stands for, one set for each key.
    pub values: Vec<Numbers>,
    /// Of a verdict map: where it leads to.
    pub verdict: Option<Verdict>,
    /// What its author said of it, of one in a map with a name.
    pub comment: Option<Untrusted>,
}

impl Element {
    /// One that stands for values, and for no more.
    pub const fn of(values: Vec<Numbers>) -> Self {
        Self { values, verdict: None, comment: None }
    }
}

/// A set or map with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSet {
    /// Its name, as it came.
    pub name: String,
    /// Its elements, those that were understood.
    pub elements: Vec<Element>,
    /// How far its elements are known.
    pub known: Known,
}

/// How far a set's elements are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Known {
    /// All, and they stay until somebody changes the ruleset.
    Constant,
    /// Packets, time or programs add and remove some: flags `dynamic` and `timeout`.
    Changing,
    /// Not all were understood.
    InPart,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Ends the rule, and decides.
    Verdict(Verdict),
    /// Decides by a map; where the map has nothing, the rule does not match.
    VerdictMap {
        /// The values that are looked up.
        keys: Vec<Key>,
        /// The map.
        map: Set,
    },
    /// Does something to the packet, its entry, or others.
    Effect(Effect),
    /// Counters and the like: nothing that a packet could notice.
    Nothing,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// This base chain lets it pass.
    Accept,
    /// It is gone.
    Drop,
    /// It is gone, and its sender is told.
    Reject(Untrusted),
    /// A program decides (`queue`, `NFQUEUE`).
    Queue,
    /// On to the next rule.
    Continue,
    /// Back to the chain that sent it here.
    Return,
    /// To another chain, and back.
    Jump(String),
    /// To another chain, not back here.
    Goto(String),
}

/// What a rule does beside deciding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Another destination for the flow (`dnat`, `redirect`, `NETMAP`). Ends the chain.
    TranslateDestination(Untrusted),
    /// Another source for the flow (`snat`, `masquerade`). Ends the chain.
    TranslateSource(Untrusted),
    /// Bits of the packet's mark: those of `mask` become those of `value`.
    Mark {
        /// The new bits.
        value: u32,
        /// Which bits are set.
        mask: u32,
    },
    /// The packet's mark, to something that is not reckoned.
    MarkUnknown(Untrusted),
    /// The entry's mark is set.
    EntryMark(Untrusted),
    /// The packet's mark from its entry's. Without an entry nothing happens.
    MarkFromEntry(Untrusted),
    /// Another property of the entry: label, helper, expectation, security mark, event mask.
    Entry(Untrusted),
    /// The entry's timeouts.
    TimeoutPolicy(Untrusted),
    /// A conntrack zone, set before tracking.
    Zone(Untrusted),
    /// The packet is not tracked.
    Notrack,
    /// The flow goes past the rules from now on (a flowtable).
    Offload(Untrusted),
    /// The handshake is answered in the server's stead. Ends the chain, whatever becomes of the packet.
    Synproxy(Untrusted),
    /// A local socket gets it (`tproxy`).
    Tproxy(Untrusted),
    /// A line in a log, or a copy to a program that logs.
    Log(Untrusted),
    /// A copy, or the packet itself, goes elsewhere.
    Copy(Untrusted),
    /// Packets that come here are counted or remembered, and later ones judged by it: limits, quotas, elements of sets.
    Remembered(Untrusted),
    /// Bytes or properties of the packet are changed that no class of packets knows.
    Changed(Untrusted),
    /// Addresses, ports or the like are written into the packet itself, without an entry.
    Rewritten {
        /// Which fields are others from then on, or may be.
        fields: Vec<Field>,
        /// As a person reads it.
        text: Untrusted,
    },
    /// Not understood.
    Unknown(Untrusted),
}
