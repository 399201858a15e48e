//! The process that undoes what nobody confirms. Plimsoll itself starts it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM};
use signal_hook::flag;

use super::arguments::WatchdogArguments;

/// Watches until the application is confirmed or undone.
pub(crate) fn run(arguments: &WatchdogArguments) -> anyhow::Result<ExitCode> {
    let (stop, ignored) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    // A terminal that goes away ends sessions; this is no part of them.
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGPIPE] {
        flag::register(signal, Arc::clone(&ignored)).context("signals cannot be taken")?;
    }
    // Nobody would undo after its end, so it undoes before.
    flag::register(SIGTERM, Arc::clone(&stop)).context("signals cannot be taken")?;
    let stopped = || stop.load(Ordering::Relaxed);
    plimsoll_apply::watchdog::watch(&arguments.state_dir, arguments.id, arguments.applier, &stopped)?;
    Ok(ExitCode::SUCCESS)
}
