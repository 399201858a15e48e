//! The ruleset in force, of nftables and iptables alike, what it does to packets, and what is safe beside it.
//!
//! [`Ruleset::read`] takes what programs told ([`Told`]); what is not understood is kept as such. [`Ruleset::evaluate`] follows a class of packets
//! ([`PacketClass`]) through the hooks, as tracking sees them ([`Tracking`]), and returns everything that may become of them, each with its rules.
//! [`judge_bypass`] compares what becomes of a service's packets tracked and untracked ([`Judgement`]), and [`judge_shown`] does so by what its entries show. What cannot be decided is never safe.
//!
//! Chains of one hook with the same priority are followed in the order in which they were told; only marks could tell. The kernel's own checks (routing,
//! sockets) are not rules, and are left out; so are packets by loopback, and bridges.

mod addition;
mod bypass;
mod class;
mod class_text;
mod course;
mod evaluate;
mod expression;
mod ipsets;
mod ipvs;
mod judge;
mod judgement;
mod key;
mod matching;
mod model;
mod nft;
mod numbers;
mod path;
mod proxied;
mod requests;
mod save;
mod save_rule;
mod shown;
mod state;
mod tcp_flags;
mod told;
mod tracking;
mod translation;
mod words;

pub use addition::{Addition, WithoutEntry};
pub use bypass::{Begins, Terms, Unsolicited};
pub use class::{IpVersion, PacketClass, Route};
pub use evaluate::TooManyWays;
pub use ipvs::{Ipvs, VirtualService};
pub use judge::{Beside, judge_bypass};
pub use judgement::{Judgement, Packets, Price, Reason, Safe, Trouble};
pub use key::{EntryBit, Field, IPV4, IPV6, Key, LOCAL, NO_INTERFACE, UNICAST, address_number, interface};
pub use model::*;
pub use nft::NftError;
pub use numbers::{Numbers, Span};
pub use path::{Done, Fact, Of, Outcome, Path, Place, Step};
pub use proxied::{Leg, Loss, Proxied, Proxying, Served, accepts_unknown, judge_synproxy};
pub use shown::{NotSafe, Shown, judge_shown};
pub use told::Told;
pub use tracking::{Direction, EntryState, Tracking, Translated};
