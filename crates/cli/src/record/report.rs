//! What was recorded.

use std::path::Path;

use plimsoll_diagnose::words::{bytes, grouped};
use plimsoll_model::Untrusted;
use plimsoll_record::{History, Kept, Recorded, Stopped};
use plimsoll_recording::Origin;
use serde::Serialize;

/// What was recorded, and why it ended.
pub(super) struct Report<'a> {
    pub(super) origin: &'a Origin,
    pub(super) to: &'a Path,
    pub(super) recorded: Recorded,
    pub(super) stopped: Stopped,
    pub(super) kept: Kept,
    pub(super) history: History,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    recording: Untrusted,
    namespace: &'a str,
    sources: &'static str,
    addresses: &'static str,
    ended: &'static str,
    lives: u64,
    gaps: u64,
    looks: u64,
    undated_gaps: u64,
    events: u64,
    events_of_unknown_flows: u64,
    losses: u64,
    dropped_events: Option<u64>,
    written_bytes: u64,
    removed_segments: u64,
}

impl Report<'_> {
    pub(super) fn json(&self) -> anyhow::Result<String> {
        let Recorded { lives, gaps, events, losses, dropped, unknown, looks, undated } = self.recorded;
        let document = Document {
            schema: "plimsoll.record/1",
            recording: self.name(),
            namespace: &self.origin.namespace,
            sources: self.origin.sources.name(),
            addresses: self.origin.addresses.name(),
            ended: match self.stopped {
                Stopped::TimeIsUp => "time_is_up",
                Stopped::Told => "told",
                Stopped::NamespaceGone => "namespace_gone",
            },
            lives,
            gaps,
            looks,
            undated_gaps: undated,
            events,
            events_of_unknown_flows: unknown,
            losses,
            dropped_events: dropped,
            written_bytes: self.kept.bytes,
            removed_segments: self.kept.removed_segments,
        };
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }

    pub(super) fn text(&self) -> String {
        let Recorded { lives, gaps, losses, dropped, looks, undated, .. } = self.recorded;
        let mut text = format!(
            "{} flows and {} silences, from {} looks; {} in {}.\n",
            grouped(lives),
            grouped(gaps),
            grouped(looks),
            bytes(self.kept.bytes),
            self.name()
        );
        if self.stopped == Stopped::NamespaceGone {
            text.push_str("It ended when the network namespace was gone.\n");
        }
        if self.kept.removed_segments > 0 {
            text.push_str(&format!(
                "To keep within --max-disk the {} oldest segments were removed: what they held is in no file any more.\n",
                grouped(self.kept.removed_segments)
            ));
        }
        if losses > 0 {
            let dropped = dropped.map_or("an unknown number".to_string(), grouped);
            text.push_str(&format!(
                "Events were lost {}, {dropped} in all: flows that they may concern are marked. A larger --buffer, or a lower \
                 --max-events-per-sec, keeps more.\n",
                if losses == 1 { "once".to_string() } else { format!("{} times", grouped(losses)) }
            ));
        }
        if undated > 0 {
            text.push_str(&format!(
                "Of {} silences it could not be told when they began: more than one timeout may have armed the entry.{}\n",
                grouped(undated),
                match self.history {
                    History::MayHaveBeenDefaults => {
                        " If timeouts have long been what they are, --timeouts-unchanged tells more."
                    }
                    History::Unchanged => "",
                }
            ));
        }
        let name = self.name();
        text.push_str(&format!(
            "`plimsoll record show {name}` says what is in it, `plimsoll plan --from {name}` what follows.\n"
        ));
        text
    }

    fn name(&self) -> Untrusted {
        Untrusted::from(self.to.to_string_lossy().as_ref())
    }
}
