//! Many settings at once.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::{NotSimulated, Outcome, Progress, Setup, Workload, run};

/// Simulates the same workload under many settings, with the same random numbers, in at most so many threads: each holds a
/// table of its own. (Of recorded packets each has another thread read them.) Outcomes are in the order of the setups, and are what [`run`] makes of each.
///
/// The workload is asked for once for each setup, and must be the same each time. The observer is told which setup's run has
/// come how far, and can stop that one.
pub fn sweep<'a>(
    workload: &(dyn Fn() -> Workload<'a> + Sync),
    setups: &[Setup],
    threads: NonZeroUsize,
    observer: &(dyn Fn(usize, Progress) -> ControlFlow<()> + Sync),
) -> Result<Vec<Outcome>, NotSimulated> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(setup) = setups.get(number) else { return done };
            done.push((number, run(workload(), setup, &mut |progress| observer(number, progress))));
        }
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.get().min(setups.len())).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        done.flatten().collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
