//! The twin under the bench.
#![allow(dead_code, reason = "each bench takes what it needs")]

use std::time::Duration;

use plimsoll_model::{Buckets, Capacity, Tuple};
use plimsoll_twin::{Arrival, Capabilities, HostSettings, NamespaceId, NoRules, RemovedBy, Settings, Twin, Verdict};

use crate::clock::Begun;
use crate::flows::{BURST, Handshake, Numbered, opening};

/// Between two packets, in simulated time.
const PACKET_EVERY: Duration = Duration::from_micros(1);
/// Behind the timeout of a connection that nobody answered (120 s) gc has come by after at most this.
const ALL_UNANSWERED_ARE_GONE: u32 = 200;

/// A twin with as many buckets as it has room for entries.
pub(crate) struct Tracked {
    twin: Twin,
    namespace: NamespaceId,
    now: Duration,
    burst: Vec<Numbered>,
    arrivals: Vec<Arrival<'static>>,
    verdicts: Vec<Verdict>,
}

/// What expiry took.
pub(crate) struct Expired {
    pub(crate) entries: u64,
    pub(crate) took: Duration,
}

impl Tracked {
    pub(crate) fn with_room_for(flows: u32) -> Self {
        let mut twin = Twin::new(HostSettings {
            buckets: Buckets(flows),
            capacity: Capacity(flows),
            ..HostSettings::stock(Capabilities::LINUX_6_18, 1)
        });
        let namespace = twin.add_namespace(Settings::default());
        Self {
            twin,
            namespace,
            now: Duration::ZERO,
            burst: Vec::with_capacity(BURST),
            arrivals: Vec::with_capacity(BURST),
            verdicts: Vec::with_capacity(BURST),
        }
    }

    /// Passes a burst of packets, and says how long that took. Here alone packets are handed to the twin.
    pub(crate) fn pass(&mut self, burst: &[Numbered]) -> Duration {
        self.arrivals.clear();
        self.arrivals.extend(burst.iter().map(|numbered| {
            self.now += PACKET_EVERY;
            Arrival { at: self.now, place: self.namespace.into(), packet: numbered.packet }
        }));
        self.verdicts.clear();
        let began = Begun::now();
        self.twin.pass_batch(&self.arrivals, &mut NoRules, &mut self.verdicts);
        let took = began.elapsed();
        let passed = self.verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Passed { .. }));
        assert_eq!(passed.count(), burst.len(), "a packet was refused");
        took
    }

    /// Passes a packet of the handshake of each flow.
    pub(crate) fn open(&mut self, flows: std::ops::Range<u32>, which: Handshake) -> Duration {
        let mut took = Duration::ZERO;
        let mut burst = std::mem::take(&mut self.burst);
        let mut flows = flows.peekable();
        while flows.peek().is_some() {
            burst.clear();
            burst.extend(flows.by_ref().take(BURST).map(|flow| opening(flow, which)));
            took += self.pass(&burst);
        }
        self.burst = burst;
        took
    }

    /// Answers flows that wait for it.
    pub(crate) fn establish(&mut self, flows: std::ops::Range<u32>) {
        self.open(flows.clone(), Handshake::SynAck);
        self.open(flows, Handshake::Ack);
    }

    /// Whether there is an entry of this tuple.
    pub(crate) fn knows(&self, tuple: &Tuple) -> bool {
        self.twin.lookup(self.now, self.namespace.into(), tuple).is_some()
    }

    /// Lets time pass, second by second, until what was not answered has expired and is gone.
    pub(crate) fn expire(&mut self) -> Expired {
        let removed = |twin: &Twin| twin.removals(self.namespace).by(RemovedBy::Expiry);
        let before = removed(&self.twin);
        let began = Begun::now();
        for _ in 0..ALL_UNANSWERED_ARE_GONE {
            self.now += Duration::from_secs(1);
            self.twin.advance(self.now);
        }
        Expired { took: began.elapsed(), entries: removed(&self.twin) - before }
    }
}
