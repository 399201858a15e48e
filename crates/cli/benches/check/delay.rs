//! How long packets wait while a table is read.
//!
//! A dump keeps softirqs off while it looks for the next entry, and packets of that CPU wait meanwhile. So packets are
//! sent on one CPU, their receive processing is steered to another, and the reader runs on that other one.

mod packets;

use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::Context;
use plimsoll_lab::LabNamespace;

use crate::delay::packets::Delays;
use crate::launch::Program;
use crate::rows;

/// Packets are sent, and received, here.
const SENDER: usize = 0;
/// Their receive processing, and the reader, run here.
const READER: usize = 1;
/// `READER` as the mask that `rps_cpus` takes.
const STEER: &str = "echo 2 > /sys/class/net/lo/queues/rx-0/rps_cpus";

/// How long packets are sent beside each reader; it is run again and again meanwhile.
const ENOUGH: Duration = Duration::from_secs(4);

/// A walk of the whole hash delays packets by milliseconds, a wake-up by far less.
const FELT: f64 = 5.0;

/// Prints the delays beside each reader of a table.
pub(crate) fn measure(table: &LabNamespace) -> anyhow::Result<()> {
    if available_parallelism()?.get() <= READER {
        println!("6. packet delay: not measured, it needs two CPUs");
        return Ok(());
    }
    let path = LabNamespace::create()?;
    path.run(&["sh", "-c", STEER]).context("steer packets to another CPU")?;
    let empty = LabNamespace::create()?;

    println!("{:44} {:>10} {:>10} {:>10} {:>8}", "6. packet delay beside", "median", "p99", "longest", "packets");
    let nothing = beside(&path, || {
        std::thread::sleep(ENOUGH);
        Ok(())
    })?;
    nothing.print("nothing");
    for (name, reader) in rows::readers() {
        beside_program(&path, &reader, table)?.print(name);
    }
    let walk = beside_program(&path, &Program::raw_dump()?, &empty)?;
    walk.print("a dump of an empty namespace");
    if walk.p99() < nothing.p99().mul_f64(FELT) {
        println!("  Not even the last is felt: packets do not go where they are steered, and this part says nothing.");
    }
    Ok(())
}

fn beside_program(path: &LabNamespace, program: &Program, inside: &LabNamespace) -> anyhow::Result<Delays> {
    let pinned = program.clone().pinned_to(READER);
    let began = Instant::now();
    beside(path, || {
        while began.elapsed() < ENOUGH {
            pinned.run_in(inside)?;
        }
        Ok(())
    })
}

fn beside(path: &LabNamespace, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Delays> {
    let stop = packets::Stop::default();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| path.enter(|| packets::send_on(SENDER, &stop)));
        let worked = work();
        stop.now();
        let delays = sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
        worked.and(delays)
    })
}
