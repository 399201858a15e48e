//! What is counted: each operation is prepared outside of what is counted, and done many times within.

use std::hint::black_box;
use std::ops::ControlFlow;

use plimsoll_scenario::{Scenario, Size};
use plimsoll_simulate::{Datagrams, Setup, Workload, run};
use plimsoll_twin::Capabilities;
use plimsoll_twin::parse::{self, Checksums};

use crate::flows::{BURST, Flows, Handshake, tuple};
use crate::pcap::{self, Replayed};
use crate::support::{self, Record};
use crate::tracked::Tracked;

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Prepares it, hands on what is to be counted, and says how often it was done in that.
    pub(crate) run: fn(Count<'_>) -> u64,
}

/// Runs what is to be counted.
type Count<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

/// Entries of the tables, which have as many buckets: two nodes a bucket.
const ENTRIES: u32 = 8_192;
const BURSTS: usize = 16;
/// New ones in the second that the scenario below lasts, each with nine packets.
const CONNECTIONS: u32 = 2_000;

pub(crate) const OPERATIONS: [Operation; 8] = [
    Operation { name: "a packet of an established flow", run: established },
    Operation { name: "an insertion", run: insertion },
    Operation { name: "an expiry, all entries due", run: |count| expiry(1, count) },
    Operation { name: "an expiry, 1 of 64 entries due", run: |count| expiry(64, count) },
    Operation { name: "a look-up of what is not there", run: absent },
    Operation { name: "a datagram parsed", run: parsed },
    Operation { name: "a packet of a capture replayed", run: replayed },
    Operation { name: "a packet of a scenario simulated", run: simulated },
];

fn established(count: Count<'_>) -> u64 {
    let mut tracked = full();
    tracked.establish(0..ENTRIES);
    let mut flows = Flows::new(ENTRIES);
    let bursts: Vec<_> = (0..BURSTS)
        .map(|_| {
            let mut burst = Vec::new();
            flows.fill(&mut burst);
            burst
        })
        .collect();
    count(&mut || {
        for burst in &bursts {
            tracked.pass(burst);
        }
    });
    (BURSTS * BURST) as u64
}

fn insertion(count: Count<'_>) -> u64 {
    let mut tracked = Tracked::with_room_for(ENTRIES);
    count(&mut || {
        tracked.open(0..ENTRIES, Handshake::Syn);
    });
    ENTRIES.into()
}

fn expiry(one_of: u32, count: Count<'_>) -> u64 {
    // Of a table that is no small one, in which gc asks ahead.
    const ENTRIES: u32 = 1 << 15;
    let mut tracked = Tracked::with_room_for(ENTRIES);
    tracked.open(0..ENTRIES, Handshake::Syn);
    let due = ENTRIES / one_of;
    tracked.establish(due..ENTRIES);
    count(&mut || assert_eq!(tracked.expire().entries, u64::from(due)));
    due.into()
}

fn absent(count: Count<'_>) -> u64 {
    let tracked = full();
    count(&mut || {
        for flow in ENTRIES..2 * ENTRIES {
            assert!(!tracked.knows(&tuple(flow)));
        }
    });
    ENTRIES.into()
}

fn parsed(count: Count<'_>) -> u64 {
    let scenario = scenario();
    let mut record = Record::new(&scenario, 1);
    let mut datagrams = Vec::new();
    while let Some(datagram) = record.next_datagram() {
        datagrams.push(datagram.bytes.to_vec());
    }
    count(&mut || {
        for datagram in &datagrams {
            black_box(parse::packet(datagram, Checksums::Ignored, &Capabilities::LINUX_6_18));
        }
    });
    datagrams.len() as u64
}

fn replayed(count: Count<'_>) -> u64 {
    let mut file = Vec::new();
    pcap::write(&mut Record::new(&scenario(), 1), &mut file).unwrap();
    play(count, Workload::Recorded(Box::new(Replayed::new(file.as_slice()))))
}

fn simulated(count: Count<'_>) -> u64 {
    play(count, Workload::Scenario { scenario: &scenario(), seed: 1, size: Size::default() })
}

fn play(count: Count<'_>, workload: Workload<'_>) -> u64 {
    let mut setup = Setup::stock(Capabilities::LINUX_6_18, 1);
    // All are walked now and then, however few packets come.
    setup.host.buckets.0 = ENTRIES;
    let (mut workload, mut packets) = (Some(workload), 0);
    count(&mut || {
        if let Some(workload) = workload.take() {
            packets = run(workload, &setup, &mut |_| ControlFlow::Continue(())).unwrap().packets;
        }
    });
    packets
}

fn full() -> Tracked {
    let mut tracked = Tracked::with_room_for(ENTRIES);
    tracked.open(0..ENTRIES, Handshake::Syn);
    tracked
}

fn scenario() -> Scenario {
    support::requests(1, CONNECTIONS)
}
