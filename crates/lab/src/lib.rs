//! Network namespaces with tables full of entries, on the real kernel, for tests and benches.
//!
//! Everything happens in namespaces of the lab's own, which are removed when they are dropped; what a killed run left
//! behind is swept by the next one, which knows it by its lock file. Global settings are never touched: what needs them runs in a guest.

mod between;
mod by_hand;
mod claim;
pub mod conform;
mod fill;
mod firewall;
mod handshake;
mod namespace;
mod player;
mod proxy;
mod refusal;
mod router;
mod seen;
mod stage;
mod stop;
mod tun;
mod wire;

pub use by_hand::{ByHand, HandPacket, Payload};
pub use fill::{Kind, entries, mixed_entries};
pub use firewall::{Door, Fate, Firewall, IpOf};
pub use namespace::{Error, LabNamespace};
pub use player::Played;
pub use plimsoll_scenario::Side;
pub use proxy::ProxyStage;
pub use refusal::{Refusal, Volume, refuse_on_a_busy_host, volume};
pub use router::Router;
pub use stage::Stage;
pub use stop::stop_on_signals;
pub use tun::Tap;
