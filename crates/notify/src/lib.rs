//! Tells others of troubles: Alertmanager, a webhook, a command.
//!
//! When a table is full no new connection can be tracked, this program's own least of all. So connections are opened when it
//! begins, and kept open: each is used, or asked for nothing, every [`KEPT_EVERY`].
//!
//! Each target has a thread of its own, so that neither the readings nor other targets wait for it. What could not be told is tried
//! again, in order, and what cannot be kept any more is counted.

mod command;
mod documents;
mod error;
mod http;
mod mailbox;
mod moment;
mod target;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use plimsoll_model::Untrusted;
use plimsoll_watch::alerts::{Alert, Notice};

pub use error::Error;
pub use target::Target;

use self::mailbox::Mailbox;

/// A connection that is not used is asked for nothing so often, so that it stays open on the way too.
pub const KEPT_EVERY: Duration = Duration::from_secs(30);

/// News that wait to be taken up while a target takes its time to answer.
const MOST_WAITING: usize = 64;

/// What is to be told.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// What is there now, whether told or not.
    pub raised: Vec<Alert>,
    /// What has come, become worse, or gone.
    pub notices: Vec<Notice>,
}

/// What came of telling somebody.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// It is told again, after it could not be.
    Recovered(&'a Target),
    /// It could not be told. Said once, until it can be again.
    Failed(&'a Target, &'a Error),
    /// So many notices were not told, and are not kept any more.
    GivenUp(&'a Target, usize),
}

/// Tells others.
#[derive(Debug)]
pub struct Notifier {
    targets: Vec<(Wants, SyncSender<News>)>,
}

/// What a target wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// What is there, at each reading.
    State,
    /// What is new.
    Notices,
}

impl Notifier {
    /// Opens the connections. `host` is this host's name, in what is told; `log` is told what comes of it.
    pub fn begin(
        targets: Vec<Target>,
        host: &Untrusted,
        log: &Arc<dyn Fn(Outcome<'_>) + Send + Sync>,
    ) -> std::io::Result<Self> {
        let begin = |target| {
            let (news, waiting) = sync_channel(MOST_WAITING);
            let wants = match target {
                Target::Alertmanager(_) => Wants::State,
                Target::Webhook(_) | Target::Command(_) => Wants::Notices,
            };
            let mailbox = Mailbox::new(target, host.clone());
            let log = Arc::clone(log);
            thread::Builder::new().name("notify".to_string()).spawn(move || work(mailbox, &waiting, &*log))?;
            Ok((wants, news))
        };
        Ok(Self { targets: targets.into_iter().map(begin).collect::<std::io::Result<_>>()? })
    }

    /// Hands news over. It never waits.
    pub fn tell(&self, news: &News) {
        let is_wanted = |wants: Wants| wants == Wants::State || !news.notices.is_empty();
        for (_, target) in self.targets.iter().filter(|(wants, _)| is_wanted(*wants)) {
            // Where too many wait already, the target has not answered for minutes.
            let _ = target.try_send(news.clone());
        }
    }
}

fn work(mut mailbox: Mailbox, waiting: &Receiver<News>, log: &dyn Fn(Outcome<'_>)) {
    loop {
        mailbox.keep_open(log);
        match waiting.recv_timeout(KEPT_EVERY) {
            Ok(news) => mailbox.take(&news, log),
            // What is there is told again, however long the next reading takes.
            Err(RecvTimeoutError::Timeout) => mailbox.tell(log),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
