//! Tables read, and trimmed, in namespaces of the lab.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod flows;
pub(crate) mod played;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use plimsoll_ctnetlink::{Dump, Entry, Unknowns, table_statistics};
use plimsoll_host::HostFs;
use plimsoll_lab::LabNamespace;
use plimsoll_model::{Timeout, Tuple, Zone};
use plimsoll_trim::{Acted, Ground, Limits, Manner, Plan, Trimming, Wish};

/// Every entry, by zone and tuple.
pub(crate) fn table(namespace: &LabNamespace) -> BTreeMap<String, Entry> {
    let read = || {
        let (mut all, mut unknowns) = (BTreeMap::new(), Unknowns::default());
        let mut dump = Dump::start().unwrap();
        while let Some(batch) = dump.next_batch().unwrap() {
            for dumped in batch.entries(&mut unknowns) {
                let entry = dumped.unwrap().entry;
                all.insert(name(entry.zone, &entry.original), entry);
            }
        }
        all
    };
    namespace.enter(read).unwrap()
}

pub(crate) fn name(zone: Zone, tuple: &Tuple) -> String {
    format!("{zone} {tuple:?}")
}

pub(crate) fn occupancy(namespace: &LabNamespace) -> u32 {
    namespace.enter(|| table_statistics().unwrap().occupancy.0).unwrap()
}

/// The ground of a host that has been up for two months: this one may have been booted just now, and that alone would show
/// many entries to be younger than they look.
pub(crate) fn ground() -> Ground {
    Ground { uptime_secs: 60 * 86_400, ..Ground::read(&HostFs::new()).unwrap() }
}

pub(crate) fn trimming(wish: Wish, manner: Manner) -> Trimming {
    Trimming::new(&ground(), wish, manner)
}

pub(crate) fn plan(namespace: &LabNamespace, wish: Wish, manner: Manner) -> Plan {
    namespace.enter(|| trimming(wish, manner).plan().unwrap()).unwrap()
}

pub(crate) fn act(namespace: &LabNamespace, wish: Wish, manner: Manner) -> Acted {
    let stop = AtomicBool::new(false);
    namespace.enter(|| trimming(wish, manner).act(&Limits::none(&stop)).unwrap()).unwrap()
}

/// Puts timeouts in force.
pub(crate) fn set(namespace: &LabNamespace, timeouts: &[(Timeout, u32)]) {
    for (timeout, secs) in timeouts {
        namespace.set(&format!("net/netfilter/{}", timeout.sysctl().unwrap()), *secs).unwrap();
    }
}
