//! Ending in order when told to: what was made is removed by the destructors of those who made it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::Error;

/// A flag that is raised by SIGINT, SIGTERM and SIGHUP, which no longer end the process by themselves. Whoever asks for
/// it looks at it often.
pub fn stop_on_signals() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&stop))
            .map_err(|answer: io::Error| Error::Signals { answer: answer.to_string() })?;
    }
    Ok(stop)
}
