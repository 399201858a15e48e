//! The watchdog.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) fn watch(folder: &Path, id: u32, applier: u32) {
    const SIGTERM: i32 = 15;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&stop)).unwrap();
    plimsoll_apply::watchdog::watch(folder, id, applier, &|| stop.load(Ordering::Relaxed)).unwrap();
}
