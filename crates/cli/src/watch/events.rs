//! What the daemon waits for: readings, and signals.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use plimsoll_watch::{Told, Watcher};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// After a reading that could not be made the next one waits for this long.
const REST: Duration = Duration::from_secs(1);

/// What happens.
pub(super) enum Event {
    /// The host was read.
    Read(Box<Told>),
    /// It could not be.
    NotRead(plimsoll_observe::Error),
    /// Somebody was told something.
    Told,
    /// Somebody wants something.
    Signal(Signal),
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Settings are to be read anew.
    Reload,
    /// It is to end.
    End,
}

/// What happens, in its order.
pub(super) struct Events {
    sender: SyncSender<Event>,
    receiver: Receiver<Event>,
}

/// By which others say that something has happened.
#[derive(Clone)]
pub(super) struct Bell(SyncSender<Event>);

impl Events {
    /// None yet.
    pub(super) fn new() -> Self {
        // One reading is taken up before the next one is made.
        let (sender, receiver) = sync_channel(1);
        Self { sender, receiver }
    }

    pub(super) fn bell(&self) -> Bell {
        Bell(self.sender.clone())
    }

    /// Reads the host in one thread, and takes signals in another.
    pub(super) fn begin(&self, watcher: Watcher) -> anyhow::Result<()> {
        take_signals(self.sender.clone()).context("signals cannot be taken")?;
        let sender = self.sender.clone();
        let read = move || read(watcher, &sender);
        thread::Builder::new().name("read".to_string()).spawn(read).context("a thread cannot be started")?;
        Ok(())
    }
}

impl Bell {
    /// Somebody was told something. Where something else happens already, that is what it waits for anyway.
    pub(super) fn told(&self) {
        let _ = self.0.try_send(Event::Told);
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.receiver.recv().ok()
    }
}

fn take_signals(sender: SyncSender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let take = move || {
        for signal in &mut signals {
            let signal = if signal == SIGHUP { Signal::Reload } else { Signal::End };
            if sender.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".to_string()).spawn(take)?;
    Ok(())
}

fn read(mut watcher: Watcher, sender: &SyncSender<Event>) {
    loop {
        let event = match watcher.read() {
            Ok(told) => Event::Read(Box::new(told)),
            Err(error) => {
                thread::sleep(REST);
                Event::NotRead(error)
            }
        };
        if sender.send(event).is_err() {
            return;
        }
    }
}
