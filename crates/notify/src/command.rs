//! A program that is run for each notice.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;

/// A program that has not ended by then is killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a program with a document on its standard input. `patience` tells how long it may take yet, of what it usually might.
pub(crate) fn run(words: &[String], json: &str, patience: &dyn Fn(Duration) -> Duration) -> Result<(), Error> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let started = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = started.map_err(|answered| Error::Start { program: program.clone(), answered })?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read it has ended, or will be told by how it ends. A document is smaller than a pipe, so nothing waits.
        let _ = input.write_all(json.as_bytes());
    }
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(Error::Ended { program: program.clone(), status }),
            Ok(None) if !patience(PATIENCE.saturating_sub(began.elapsed())).is_zero() => thread::sleep(LOOK),
            Ok(None) => {
                // It may have ended meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::TooSlow { program: program.clone(), after: began.elapsed() });
            }
            Err(answered) => return Err(Error::Start { program: program.clone(), answered }),
        }
    }
}
