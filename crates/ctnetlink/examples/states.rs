//! Counts the entries of this network namespace by protocol and state:
//! `cargo run --release -p plimsoll-ctnetlink --example states`

use std::collections::BTreeMap;

use plimsoll_ctnetlink::{Dump, Error, Unknowns, table_statistics};

fn main() -> Result<(), Error> {
    let statistics = table_statistics()?;
    println!("{} entries, limit {:?}", statistics.occupancy, statistics.capacity);

    let mut unknowns = Unknowns::default();
    let mut states = BTreeMap::<_, u64>::new();
    let mut dump = Dump::start()?;
    while let Some(batch) = dump.next_batch()? {
        for dumped in batch.entries(&mut unknowns) {
            let entry = dumped?.entry;
            *states.entry((entry.original.protocol, entry.state)).or_default() += 1;
        }
    }
    for ((protocol, state), count) in states {
        println!("{count:>8} {protocol} {state}");
    }
    if !unknowns.is_empty() {
        println!("not known: {unknowns:?}");
    }
    Ok(())
}
