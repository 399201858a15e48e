//! Writes a dump of this network namespace to standard output as the kernel sent it, for fixtures and fuzzing: each
//! datagram behind its length (32 bits, little endian).
//! `cargo run --release -p plimsoll-ctnetlink --example capture > crates/ctnetlink/tests/dumps/NAME.bin`

use std::io::{self, Write};

use plimsoll_ctnetlink::RawDump;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    let mut dump = RawDump::start()?;
    while let Some(datagram) = dump.next_datagram()? {
        out.write_all(&u32::try_from(datagram.len())?.to_le_bytes())?;
        out.write_all(datagram)?;
    }
    Ok(())
}
