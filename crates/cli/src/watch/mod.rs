//! `plimsoll watch`: a daemon that keeps watch over this host's tables.

mod adopting;
mod arguments;
mod confined;
mod daemon;
mod events;
mod governing;
mod log;
mod measured_floors;
mod settings;
mod settings_file;

use std::process::ExitCode;

pub(crate) use self::arguments::WatchArguments;

use self::daemon::Daemon;
use self::events::{Event, Events, Signal};
use self::log::Log;
use self::settings::Settings;

/// Keeps watch until it is told to end.
pub(crate) fn run(arguments: &WatchArguments) -> anyhow::Result<ExitCode> {
    let log = Log::new(arguments.quiet, arguments.color);
    let settings = Settings::of(arguments)?;
    let events = Events::new();
    let mut daemon = Daemon::begin(settings, log, events.bell())?;
    events.begin(daemon.watcher())?;
    daemon.say_that_it_has_begun();
    for event in events {
        match event {
            Event::Read(told) => daemon.take(*told),
            Event::NotRead(error) => daemon.note_failure(&error),
            Event::Told => daemon.note_told(),
            Event::Signal(Signal::Reload) => match Settings::of(arguments) {
                Ok(settings) => daemon.adopt(settings),
                Err(error) => log.wrong(&format!("what was in force stays so: {error:#}")),
            },
            Event::Signal(Signal::End) => break,
        }
    }
    daemon.end();
    Ok(ExitCode::SUCCESS)
}
