//! The watchdog, and what undoes without one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) fn watch(folder: &Path, id: u32, applier: u32) {
    const SIGTERM: i32 = 15;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&stop)).unwrap();
    plimsoll_apply::watchdog::watch(folder, id, applier, &|| stop.load(Ordering::Relaxed)).unwrap();
}

pub(crate) fn release(folder: &Path) {
    for one in plimsoll_apply::release(folder, &|_, _| {}).unwrap() {
        println!("application {}: {}", one.application.begun.id, one.application.outcome());
        for progress in one.application.changes {
            println!("{progress:?}");
        }
    }
}
