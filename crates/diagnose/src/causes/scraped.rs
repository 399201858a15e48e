//! Connections that Prometheus opens to scrape metrics. It keeps one to each target (its client is Go's, with keep-alive), so one a scrape
//! is the target's doing.

use plimsoll_model::{Evidence, Program, ProgramId, Remedy, Sample, Side};

use super::part::{Part, tally};
use crate::evidence::{advice, number};
use crate::words::percent;

/// How Prometheus is called, by the name of its process.
const PROMETHEUS: &str = "prometheus";
/// Less is not worth a word.
const LEAST_SHARE: f64 = 0.01;

/// A part's connections by Prometheus.
pub(super) struct Scraped<'a> {
    by: &'a Program,
    share: f64,
    targets: usize,
}

impl<'a> Scraped<'a> {
    pub(super) fn of(part: &Part<'a>) -> Option<Self> {
        let asked: Vec<_> = part.drawn.iter().filter_map(|drawn| Some((&drawn.entry, drawn.ends?))).collect();
        let program = |id: ProgramId| part.table.census.program(id);
        let is_its = |id: &ProgramId| program(*id).is_some_and(|by| by.owner.command.as_str() == PROMETHEUS);
        let opened =
            || asked.iter().filter_map(|(entry, ends)| Some((*entry, ends.of(Side::Client).by().filter(is_its)?)));
        let by = program(tally(opened().map(|(_, id)| id)).first()?.0)?;
        let sample = Sample { read: asked.len() as u64, live: part.count.entries };
        let share = sample.share(opened().count() as u64).value;
        let targets = tally(opened().filter_map(|(entry, _)| entry.original.service())).len();
        (share >= LEAST_SHARE).then_some(Self { by, share, targets })
    }

    pub(super) fn evidence(&self) -> Evidence {
        let Self { by, share, targets } = self;
        let text = format!("{} are scrapes: {by} opened them, to {targets} targets", percent(*share));
        number("scrapes_ratio", *share, text)
    }

    pub(super) fn remedy(&self) -> Remedy {
        advice(format!(
            "Have the {} targets that are scraped keep Prometheus' connections: it opens one a scrape only where its target closes the last one \
             (HTTP/1.0, `Connection: close`, or an idle timeout below `scrape_interval`). Each then holds one entry and leaves none behind. A \
             longer `scrape_interval` lessens them in proportion.",
            self.targets
        ))
    }
}
