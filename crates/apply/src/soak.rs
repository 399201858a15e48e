//! Watching what a change does, for a while.

use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::guard::{Worse, worse};
use crate::live::Live;
use crate::probe::{self, Answer};
use crate::window::{Reading, Window};

/// How often counters are read and the user's check is run.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is asked whether to stop.
const GLANCE: Duration = Duration::from_millis(200);

/// How watching ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Watched {
    /// The time has passed, and nothing became worse.
    Fine(Window),
    /// Something became worse.
    Worse(Worse),
    /// It was to stop.
    Stopped,
}

/// What is watched, and what it is held against.
pub(crate) struct Watch<'a> {
    pub(crate) live: &'a Live,
    pub(crate) probe: Option<&'a str>,
    /// What was counted before the first change; `None` while that is being counted.
    pub(crate) baseline: Option<&'a Window>,
    /// What else is asked for harm, each time.
    pub(crate) harm: &'a dyn Fn() -> Result<Option<Worse>, Error>,
}

impl Watch<'_> {
    /// Watches until a span has passed, or something is worse.
    pub(crate) fn run(&self, span: Duration, stop: &dyn Fn() -> bool) -> Result<Watched, Error> {
        let first = self.live.reading()?;
        let end = Instant::now() + span;
        let mut probes = (0, 0);
        loop {
            let next = (Instant::now() + EVERY).min(end);
            while Instant::now() < next {
                if stop() {
                    return Ok(Watched::Stopped);
                }
                // The time itself is what is waited for; in short steps, so that a stop is heeded.
                thread::sleep(GLANCE.min(next.saturating_duration_since(Instant::now())));
            }
            if let Some(command) = self.probe {
                probes.0 += 1;
                probes.1 += u64::from(self.live.visit(|| probe::run(command))? == Answer::Failed);
            }
            let window = self.window(&first, probes)?;
            if let Some(worse) = self.baseline.and_then(|baseline| worse(baseline, &window)) {
                return Ok(Watched::Worse(worse));
            }
            if let Some(worse) = (self.harm)()? {
                return Ok(Watched::Worse(worse));
            }
            if Instant::now() >= end {
                return Ok(Watched::Fine(window));
            }
        }
    }

    fn window(&self, first: &Reading, (probes, failed_probes): (u64, u64)) -> Result<Window, Error> {
        let now = self.live.reading()?;
        Ok(Window { probes, failed_probes, ..Window::between(first, &now) })
    }
}
