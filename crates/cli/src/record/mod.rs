//! `plimsoll record`: lives of flows, and their silences, as they are on this host.

mod arguments;
mod progress;
mod report;
pub(crate) mod show;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use plimsoll_archive::{Event, Limits, Writer};
use plimsoll_diagnose::words::{bytes, grouped};
use plimsoll_host::HostFs;
use plimsoll_model::{Capacity, Untrusted};
use plimsoll_observe::{Place, Unvisited, find};
use plimsoll_record::{Bounds, Filed, History, LookEvery, Wishes, origin, record};
use plimsoll_recording::{Addresses, Sources};
use rustix::rand::{GetRandomFlags, getrandom};

pub(crate) use self::arguments::RecordArguments;

use self::arguments::{RecordCommand, RecordingArguments};
use self::progress::Display;
use self::report::Report;
use crate::output;
use crate::stop::stop_on_signals;

/// What an event's extension takes of an entry: from 256 to 384 bytes, on kernels since 6.1 (docs/record.md).
const BYTES_OF_EVENTS: u64 = 128;

/// Silences of some tens of seconds are seen by looks that are so far apart.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Records, or says what a recording holds.
pub(crate) fn run(arguments: &RecordArguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Some(RecordCommand::Show(show)) => show::run(show),
        None => make(&arguments.recording),
    }
}

fn make(arguments: &RecordingArguments) -> anyhow::Result<ExitCode> {
    let to = arguments.to.as_deref().context("--to names the directory to write to")?;
    let host = HostFs::new();
    let found = find(&host, &arguments.netns)?;
    let wishes = wishes(arguments)?;
    let limits = Limits {
        segment_bytes: arguments.segment_size.bytes,
        segment_lasts: arguments.segment_every,
        total_bytes: arguments.max_disk.bytes,
    };
    let origin = origin(&host, &found.namespace.name, &wishes);
    let (writer, leftovers) = Writer::begin(to, &origin, limits)?;
    if !arguments.quiet {
        output::write_progress(&introduction(arguments, &host, &found.namespace.name, to, &leftovers), arguments.color);
    }
    let stop = stop_on_signals()?;
    let mut sink = Filed::new(writer).context("starting a thread that writes")?;
    let mut display = Display::new(arguments.quiet);
    let is_there = || host.is_still_there(&found);
    let place = Place::of(&found);
    let recorded = place
        .visit(|| record(&wishes, &mut sink, &stop, &is_there, &mut |progress| display.show(progress)))
        .with_context(|| {
            format!("entering the network namespace {}, which takes {}", found.namespace.name, Unvisited::NEEDS)
        });
    display.clear();
    let (recorded, stopped) = match recorded.and_then(|ended| ended.map_err(anyhow::Error::new)) {
        Ok(ended) => ended,
        Err(error) => {
            sink.give_up(origin.began_at);
            return Err(error);
        }
    };
    let kept = sink.finish(origin.began_at)?;
    let report = Report { origin: &origin, to, recorded, stopped, kept, history: wishes.history };
    let text = if arguments.json { report.json()? } else { report.text() };
    if arguments.json || !arguments.quiet {
        output::write(&text, arguments.color)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn wishes(arguments: &RecordingArguments) -> anyhow::Result<Wishes> {
    let secret = match &arguments.anonymize_key {
        Some(file) => of_file(file)?,
        None => random()?,
    };
    Ok(Wishes {
        lasts: arguments.duration,
        sources: if arguments.no_events { Sources::Looks } else { Sources::EventsAndLooks },
        looked_at: arguments.look_at.get(),
        look_every: arguments.look_every.map_or(LookEvery::Gently(LOOK_EVERY), LookEvery::Exactly),
        read_every: arguments.read_every,
        write_down_every: arguments.segment_every,
        bounds: Bounds { events_per_sec: arguments.max_events_per_sec.get(), followed: arguments.max_flows.get() },
        buffer_bytes: usize::try_from(arguments.buffer.bytes).unwrap_or(usize::MAX),
        addresses: if arguments.anonymize { Addresses::Hidden } else { Addresses::Plain },
        secret,
        key_secret: random()?,
        history: if arguments.timeouts_unchanged { History::Unchanged } else { History::MayHaveBeenDefaults },
    })
}

/// What nobody can guess.
fn random() -> anyhow::Result<(u64, u64)> {
    let mut bytes = [0; 16];
    let got = getrandom(&mut bytes, GetRandomFlags::empty()).context("asking the kernel for random numbers")?;
    if got < bytes.len() {
        bail!("asking the kernel for random numbers: it gave {got} bytes of {}", bytes.len())
    }
    halves(&bytes).ok_or_else(|| anyhow!("16 bytes are two halves"))
}

/// A file's first 16 bytes: what is shorter could be guessed.
fn of_file(path: &Path) -> anyhow::Result<(u64, u64)> {
    let name = Untrusted::from(path.to_string_lossy().as_ref());
    let mut content = Vec::new();
    let file = fs::File::open(path).and_then(|file| file.take(16).read_to_end(&mut content));
    file.with_context(|| format!("reading {name}"))?;
    halves(&content).ok_or_else(|| {
        anyhow!(
            "{name} has {} bytes, and a key has 16 at least: `head -c 16 /dev/urandom > FILE` makes one",
            content.len()
        )
    })
}

fn halves(bytes: &[u8]) -> Option<(u64, u64)> {
    let (first, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*first), u64::from_le_bytes(*rest.first_chunk::<8>()?)))
}

/// What it is going to do, and what that does to the host.
fn introduction(
    arguments: &RecordingArguments,
    host: &HostFs,
    namespace: &Untrusted,
    to: &Path,
    leftovers: &[Event],
) -> String {
    let lasts = match arguments.duration {
        Some(duration) => plimsoll_diagnose::words::duration(duration.as_secs()),
        None => "until Ctrl-C".to_string(),
    };
    let to = Untrusted::from(to.to_string_lossy().as_ref());
    let mut text = format!("Recording {namespace} to {to}, {lasts}.\n");
    if !arguments.no_events {
        let most = host.capacity().ok().and_then(Capacity::limit).map(u64::from);
        let most = most.map_or(String::new(), |most| {
            format!(": at most {} in a table of {} entries", bytes(most * BYTES_OF_EVENTS), grouped(most))
        });
        text.push_str(&format!(
            "While it listens to events, the kernel allocates {BYTES_OF_EVENTS} bytes more with each new entry, in every \
             namespace{most}. --no-events does without.\n"
        ));
    }
    for leftover in leftovers {
        match leftover {
            Event::LeftoverRemoved { number } => text.push_str(&format!(
                "Segment {number} was open when a recorder was killed, and is lost: it was cleared away.\n"
            )),
            Event::LeftoverClosed { segment } => text.push_str(&format!(
                "Segment {} was whole when a recorder was killed: it can be read now.\n",
                segment.number
            )),
            Event::Removed { segment, bytes: size } => text.push_str(&format!(
                "Segment {} was removed, {}, to keep within --max-disk.\n",
                segment.number,
                bytes(*size)
            )),
            _ => {}
        }
    }
    text
}
