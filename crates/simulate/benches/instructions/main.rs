//! Instructions of the hot paths, counted by callgrind: the same on every machine, however busy it is, for the same code and
//! compiler. `scripts/instructions` runs it, compares with what is kept in `instructions.tsv`, and shows each count that has
//! changed by more than a twentieth.
//!
//! Each operation runs in a process of its own under valgrind, which counts within [`counted`] alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a bench fails by it")]

mod clock;
#[path = "../../../twin/benches/pace/flows.rs"]
mod flows;
mod kept;
mod operations;
mod pcap;
#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../../twin/benches/pace/tracked.rs"]
mod tracked;

use std::process::{Command, ExitCode};

use kept::{Changes, Kept};
use operations::OPERATIONS;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let is_bench = std::env::args().any(|word| word == "--bench");
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--operation", name] => {
            let operation = OPERATIONS.iter().find(|operation| operation.name == *name).expect("one of them");
            println!("{}", (operation.run)(&mut |work| counted(work)));
            ExitCode::SUCCESS
        }
        _ if !is_bench => {
            println!("nothing is tested here: scripts/instructions counts");
            ExitCode::SUCCESS
        }
        [] => done(Kept::read().map(|kept| println!("{}", Changes { kept: &kept, now: &count() }))),
        ["--renew"] => done(count().write()),
        _ => done(Err(format!("{} is unknown: only --renew is known", words.join(" ")))),
    }
}

/// What is counted.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

fn count() -> Kept {
    Kept(OPERATIONS.iter().map(|operation| (operation.name.to_string(), instructions_of(operation.name))).collect())
}

/// On the average of as many times as the operation says that it was done.
fn instructions_of(operation: &str) -> f64 {
    let own = std::env::current_exe().expect("its own name");
    let valgrind = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted*"])
        // What another thread does is counted by a name of its own.
        .arg("--toggle-collect=*recorded::reader::Reader*::read")
        .arg(own)
        .args(["--operation", operation])
        .output()
        .expect("valgrind, of the package valgrind");
    let said = String::from_utf8_lossy(&valgrind.stderr);
    assert!(valgrind.status.success(), "{operation}: {said}");
    let number = |text: &str| text.trim().parse::<u32>().map(f64::from).expect("a number");
    let collected = said.lines().find_map(|line| line.split_once("Collected :")).expect("callgrind's last line").1;
    number(collected) / number(&String::from_utf8_lossy(&valgrind.stdout))
}

fn done(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::FAILURE
        }
    }
}
