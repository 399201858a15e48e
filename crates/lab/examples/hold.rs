//! Holds a namespace with a table of mixed entries until standard input ends, to look at it by hand:
//! `cargo run --release -p plimsoll-lab --example hold 200000`

use std::io::{self, Read};

use plimsoll_lab::{LabNamespace, mixed_entries};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().nth(1).map_or(Ok(200_000), |count| count.parse())?;
    let namespace = LabNamespace::tracking()?;
    let began = std::time::Instant::now();
    let made = namespace.fill(mixed_entries(count))?;
    println!("{made} entries in {} after {:.1?}; Ctrl-D removes it", namespace.name(), began.elapsed());
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
