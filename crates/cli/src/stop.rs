//! Being told to stop.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::output::COULD_NOT_TELL;

const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// A flag that SIGINT, SIGTERM or SIGHUP raises. None of them ends the process: for what has something to restore.
pub(crate) fn told_to_stop() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS {
        flag::register(signal, Arc::clone(&stop)).context("signals cannot be taken")?;
    }
    Ok(stop)
}

/// A flag that the first SIGINT, SIGTERM or SIGHUP raises, so that there is a result so far. The second ends the process at
/// once: only for what leaves nothing behind that would have to be removed, as the lab does.
pub(crate) fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS {
        // Asked in this order: the flag is not yet up when the first one comes.
        flag::register_conditional_shutdown(signal, COULD_NOT_TELL.into(), Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("signals cannot be taken")?;
    }
    Ok(stop)
}
