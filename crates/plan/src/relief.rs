//! What helps at once: room, and the entries that nobody will miss.

use plimsoll_diagnose::thresholds::BUCKET_BYTES;
use plimsoll_diagnose::words::{bytes, grouped, percent};
use plimsoll_model::{NamespaceSnapshot, Snapshot, TcpState, Timeout};
use serde::Serialize;

use crate::memory::Budget;

/// What is to be done in an emergency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Relief {
    /// The limit.
    pub room: Room,
    /// Which entries go, as if these timeouts were in force.
    pub stale: &'static [Stale],
}

/// What becomes of the limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Room {
    /// It is raised.
    Raise {
        /// From.
        from: u32,
        /// To.
        to: u32,
        /// Which bound decided, in words.
        because: String,
    },
    /// It stays.
    Stays {
        /// Why.
        because: String,
    },
}

/// Entries of a state that have certainly been silent for longer than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// The state.
    pub state: TcpState,
    /// For so long.
    pub silent_secs: u32,
    /// How they go.
    pub going: Going,
}

impl Stale {
    /// The timeout that holds them.
    pub const fn timeout(&self) -> Timeout {
        Timeout::Tcp(self.state)
    }
}

/// How an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Going {
    /// At once: the connection is over, or never came to be. A SYN that comes again makes an entry of its own.
    AtOnce,
    /// In ten seconds, unless a packet comes: one side may still be sending.
    UnlessAPacketComes,
}

/// The states that an emergency clears: closing ones and half-open ones. Fifteen seconds are more than TCP takes to send
/// anything six times.
const STALE: [Stale; 7] = {
    const fn of(state: TcpState, silent_secs: u32, going: Going) -> Stale {
        Stale { state, silent_secs, going }
    }
    [
        of(TcpState::TimeWait, 15, Going::AtOnce),
        of(TcpState::Close, 5, Going::AtOnce),
        of(TcpState::SynSent, 15, Going::AtOnce),
        of(TcpState::SynRecv, 15, Going::AtOnce),
        of(TcpState::LastAck, 15, Going::UnlessAPacketComes),
        of(TcpState::FinWait, 30, Going::UnlessAPacketComes),
        of(TcpState::CloseWait, 30, Going::UnlessAPacketComes),
    ]
};

/// What helps a namespace whose table is full: as much room as memory allows with the buckets as they are, and no entry of a
/// connection that may still carry data.
pub fn relief(snapshot: &Snapshot, ns: &NamespaceSnapshot, memory_share: f64) -> Relief {
    Relief { room: room(snapshot, ns, memory_share), stale: &STALE }
}

/// More entries than this for each bucket, and the kernel's cap of a chain refuses some.
const MOST_A_BUCKET: u32 = 25;

fn room(snapshot: &Snapshot, ns: &NamespaceSnapshot, memory_share: f64) -> Room {
    let stays = |because: &str| Room::Stays { because: because.to_string() };
    let Some(from) = snapshot.limits.capacity.map(|capacity| capacity.0) else {
        return stays("the limit in force could not be read");
    };
    if from == 0 {
        return stays("there is no limit");
    }
    let Some(budget) = Budget::of(snapshot, ns, memory_share) else {
        return stays("how much memory there is could not be read");
    };
    let Some(available) = snapshot.host.available_bytes else {
        return stays("how much memory is available could not be read");
    };
    let (most, because) = bound(snapshot, ns, &budget, available);
    let to = most / 1024 * 1024;
    if to <= from {
        return Room::Stays { because: format!("it is {}, and {because}", grouped(from.into())) };
    }
    Room::Raise { from, to, because }
}

/// The most entries that a table may hold, and which bound that is.
fn bound(snapshot: &Snapshot, ns: &NamespaceSnapshot, budget: &Budget, available: u64) -> (u32, String) {
    let here = ns.occupancy.map_or(0, |occupancy| u64::from(occupancy.0));
    let elsewhere = snapshot.total_occupancy().saturating_sub(here);
    let hash = snapshot.limits.buckets.map_or(0, |buckets| u64::from(buckets.0) * BUCKET_BYTES);
    let by_share = (budget.bytes.saturating_sub(hash) / budget.bytes_per_entry).saturating_sub(elsewhere);
    // Half: whatever else needs memory meanwhile must find some.
    let by_available = here.saturating_add(available / 2 / budget.bytes_per_entry);
    let by_chains = snapshot.limits.buckets.map_or(u64::MAX, |buckets| u64::from(buckets.0) * u64::from(MOST_A_BUCKET));
    let bounds = [
        (
            by_share,
            format!(
                "{} of {} RAM bear {} entries of up to {} bytes, those of other namespaces taken off",
                percent(budget.share),
                bytes(budget.ram_bytes),
                grouped(by_share),
                budget.bytes_per_entry
            ),
        ),
        (
            by_available,
            format!("half of the {} that are available bear {} entries", bytes(available), grouped(by_available)),
        ),
        (
            by_chains,
            format!(
                "beyond {} entries the kernel's cap of a chain refuses some, with the buckets as they are",
                grouped(by_chains)
            ),
        ),
        (u64::from(i32::MAX.cast_unsigned()), "the kernel takes no more".to_string()),
    ];
    let [first, rest @ ..] = bounds;
    let least = rest.into_iter().fold(first, |least, bound| if bound.0 < least.0 { bound } else { least });
    (u32::try_from(least.0).unwrap_or(u32::MAX), least.1)
}
