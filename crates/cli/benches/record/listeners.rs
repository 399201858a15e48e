//! Who listens: what is measured, and what it is measured against.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use plimsoll_record::REST;

use crate::launch::{Running, Usage};
use crate::traffic::Traffic;

/// The generator is on CPU 0.
const CPU: usize = 1;

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The bare receive loop, which rests as the recorder does.
    Bare,
    /// The same, but it waits for each event anew.
    Restless,
    /// `plimsoll record`.
    Record,
    /// `plimsoll record --anonymize`.
    Anonymize,
    /// `plimsoll record --no-events`.
    Looks,
    /// `conntrack -E`, its text to /dev/null.
    Conntrack,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) usage: Usage,
    /// From its start to its end.
    pub(crate) lasted: Duration,
    pub(crate) flows_per_sec: f64,
    /// The most that a packet was late.
    pub(crate) latest: Duration,
    /// Events that it did not receive.
    pub(crate) lost: u64,
}

impl Listener {
    pub(crate) const ALL: [Self; 6] =
        [Self::Bare, Self::Record, Self::Conntrack, Self::Restless, Self::Anonymize, Self::Looks];

    fn listens_to_events(self) -> bool {
        self != Self::Looks
    }

    fn command(self, to: &Path) -> anyhow::Result<Vec<OsString>> {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let bare = |rest: Duration| -> anyhow::Result<Vec<OsString>> {
            let own = std::env::current_exe()?.into();
            Ok([own].into_iter().chain(words(&["bare", "--rest-micros", &rest.as_micros().to_string()])).collect())
        };
        let record = |more: &[&str]| {
            let begin = words(&[env!("CARGO_BIN_EXE_plimsoll"), "record", "--json", "--quiet", "--to"]);
            begin.into_iter().chain([to.as_os_str().to_owned()]).chain(words(more)).collect()
        };
        Ok(match self {
            Self::Bare => bare(REST)?,
            Self::Restless => bare(Duration::ZERO)?,
            Self::Record => record(&[]),
            Self::Anonymize => record(&["--anonymize"]),
            // As often as on a host whose table is not nearly empty when it begins.
            Self::Looks => record(&["--no-events", "--look-every", "5s"]),
            // With the buffer that the others have.
            Self::Conntrack => words(&["conntrack", "-E", "-b", "67108864"]),
        })
    }

    /// How many events it says it has seen, where it says so.
    fn events_seen(self, output: &Path) -> anyhow::Result<Option<u64>> {
        let text = || fs::read_to_string(output);
        Ok(match self {
            Self::Bare | Self::Restless => Some(text()?.trim().parse()?),
            Self::Record | Self::Anonymize => {
                let report: serde_json::Value = serde_json::from_str(&text()?)?;
                Some(report["events"].as_u64().context("no count of events")?)
            }
            Self::Looks | Self::Conntrack => None,
        })
    }

    /// Plays traffic while it listens.
    pub(crate) fn run(self, traffic: &Traffic) -> anyhow::Result<Outcome> {
        let folder = tempfile::tempdir()?;
        let (to, output) = (folder.path().join("recording"), folder.path().join("output"));
        let output = if self == Self::Conntrack { PathBuf::from("/dev/null") } else { output };
        let began = Instant::now();
        let running = Running::start(traffic.namespace(), CPU, &output, &self.command(&to)?)?;
        if self.listens_to_events() {
            traffic.until_heard()?;
        } else {
            sleep(Duration::from_millis(300));
        }
        let played = traffic.play()?;
        let drops = traffic.until_quiet()?.map_or(0, |socket| socket.drops);
        let usage = running.stop().with_context(|| format!("{self:?}"))?;
        let lasted = began.elapsed();
        // What it did not see was lost, whatever the kernel says.
        let lost = self.events_seen(&output)?.map_or(drops, |seen| traffic.events().saturating_sub(seen));
        let flows_per_sec = traffic.flows() as f64 / played.took.as_secs_f64();
        let outcome = Outcome { usage, lasted, flows_per_sec, latest: played.latest, lost };
        eprintln!("{self:?}: {outcome:?}");
        Ok(outcome)
    }

    /// The most memory that `record` takes while flows begin and none ends.
    pub(crate) fn peak_bytes(traffic: &Traffic) -> anyhow::Result<u64> {
        let folder = tempfile::tempdir()?;
        let command = Self::Record.command(&folder.path().join("recording"))?;
        let running = Running::start(traffic.namespace(), CPU, &folder.path().join("output"), &command)?;
        traffic.until_heard()?;
        traffic.play()?;
        traffic.until_taken()?;
        Ok(running.stop()?.peak_bytes)
    }
}
