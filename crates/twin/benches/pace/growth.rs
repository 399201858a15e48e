//! A table of one size: packets, insertions and bytes.

use std::fmt;
use std::time::Duration;

use crate::bounds::{Lines, Plain};
use crate::flows::{BURST, Flows, Handshake};
use crate::resident;
use crate::rounds::Rates;
use crate::tracked::Tracked;

/// Packets of a round, of each of those that are compared.
const PACKETS: u64 = 500_000;

/// What was measured.
pub(crate) struct Size {
    pub(crate) flows: u32,
    pub(crate) memory: Rates,
    pub(crate) plain: Rates,
    pub(crate) twin: Rates,
    /// Entries a second from an empty table on, whose memory the kernel has yet to give.
    pub(crate) inserts: Rates,
    pub(crate) plain_inserts: Rates,
    pub(crate) entry_bytes: f64,
    pub(crate) plain_bytes: f64,
}

pub(crate) fn measure(flows: u32, rounds: u32) -> Size {
    // The same packets come to each.
    let mut packets = [(); 3].map(|()| Flows::new(flows));
    let (mut memory, mut plain, mut twin) = (Rates::default(), Rates::default(), Rates::default());
    let (mut inserts, mut plain_inserts) = (Rates::default(), Rates::default());

    let before = resident::bytes();
    let mut tracked = Tracked::with_room_for(flows);
    inserts.note(flows.into(), tracked.open(0..flows, Handshake::Syn));
    tracked.establish(0..flows);
    let entry_bytes = gained(before, flows);

    let before = resident::bytes();
    let mut map = Plain::default();
    plain_inserts.note(flows.into(), map.fill(flows));
    let plain_bytes = gained(before, flows);

    let mut lines = Lines::new(flows);
    let mut burst = Vec::with_capacity(BURST);
    for _ in 0..rounds {
        let mut took = [Duration::ZERO; 3];
        // Each has a stretch for itself, and finds its own in the caches if it fits.
        for stretch in 0..3 {
            for _ in 0..PACKETS.div_ceil(BURST as u64) {
                packets[stretch].fill(&mut burst);
                took[stretch] += match stretch {
                    0 => lines.touch(&burst),
                    1 => map.pass(&burst),
                    _ => tracked.pass(&burst),
                };
            }
        }
        let count = PACKETS.div_ceil(BURST as u64) * BURST as u64;
        for (rates, took) in [&mut memory, &mut plain, &mut twin].into_iter().zip(took) {
            rates.note(count, took);
        }
    }
    Size { flows, memory, plain, twin, inserts, plain_inserts, entry_bytes, plain_bytes }
}

fn gained(before: u64, flows: u32) -> f64 {
    resident::bytes().saturating_sub(before) as f64 / f64::from(flows)
}

pub(crate) const HEADING: &str = "     flows  memory bound      hash map          twin              of memory  of map  \
                                  inserts: map  twin   bytes an entry: map  twin";

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>10}  {:<16}  {:<16}  {:<16}  {:>9.2}  {:>6.2}  {:>12.2}  {:>4.2}  {:>20.0}  {:>4.0}",
            self.flows,
            self.memory,
            self.plain,
            self.twin,
            self.twin.over(&self.memory),
            self.twin.over(&self.plain),
            self.plain_inserts.best() / 1e6,
            self.inserts.best() / 1e6,
            self.plain_bytes,
            self.entry_bytes,
        )
    }
}

/// An array with an object a size; rates are of the best round, a second.
pub(crate) fn json(sizes: &[Size]) -> String {
    let objects: Vec<_> = sizes
        .iter()
        .map(|size| {
            format!(
                "  {{\"flows\": {}, \"memory_per_sec\": {:.0}, \"map_per_sec\": {:.0}, \"twin_per_sec\": {:.0}, \
                 \"map_inserts_per_sec\": {:.0}, \"twin_inserts_per_sec\": {:.0}, \"map_entry_bytes\": {:.0}, \
                 \"twin_entry_bytes\": {:.0}}}",
                size.flows,
                size.memory.best(),
                size.plain.best(),
                size.twin.best(),
                size.plain_inserts.best(),
                size.inserts.best(),
                size.plain_bytes,
                size.entry_bytes,
            )
        })
        .collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}
