//! How many packets a second the twin passes, how many flows it takes in, what an entry takes, and what its expiry costs; beside
//! the machine's memory and a plain hash map. `scripts/bench twin` runs it; `docs/twin.md` says what the figures mean.
//!
//! What is compared alternates within each round, on one core, so that a machine that is busy with something else slows down all of
//! it. The best round of each is shown, with the worst behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a bench fails by it")]

mod arguments;
mod bounds;
mod clock;
mod density;
mod flows;
mod growth;
mod lives;
mod plot;
mod resident;
mod rounds;
mod tracked;

use std::process::ExitCode;

use arguments::Arguments;

fn main() -> ExitCode {
    match Arguments::read(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    if arguments.flows.is_empty() {
        println!("nothing is tested here: scripts/bench twin measures");
        return Ok(());
    }
    if let (Some(kind), [flows]) = (arguments.entries, arguments.flows.as_slice()) {
        density::show(kind, *flows);
        return Ok(());
    }
    println!("Millions a second: the best round (the worst).");
    println!("{}", growth::HEADING);
    let mut sizes = Vec::new();
    for flows in &arguments.flows {
        let size = growth::measure(*flows, arguments.rounds);
        println!("{size}");
        sizes.push(size);
        // After each: what a run that is broken off has measured is there.
        if let Some(file) = &arguments.json {
            write(file, &growth::json(&sizes))?;
        }
        if let Some(file) = &arguments.svg {
            write(file, &plot::svg(&sizes))?;
        }
    }
    if let [size] = sizes.as_slice() {
        println!();
        lives::measure(size, arguments.rounds);
        density::measure(size.flows);
    }
    Ok(())
}

fn write(file: &str, text: &str) -> Result<(), String> {
    std::fs::write(file, text)
        .map_err(|answer| format!("writing {file}: {answer}: name a file in a folder that exists"))
}
