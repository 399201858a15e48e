//! Tells others of troubles: Alertmanager, a webhook, a command.
//!
//! When a table is full no new connection can be tracked, this program's own least of all. So connections are opened when it
//! begins, and kept open: each is used, or asked for nothing, every [`KEPT_EVERY`].
//!
//! Each target has a mailbox and a thread of its own, so that neither the readings nor other targets wait for it. What could not be told is
//! tried again, in order; what a target will not take is not; what cannot be kept any more is counted. What waits can be kept over a
//! restart: then everything is told at least once.

mod command;
mod documents;
mod error;
mod http;
mod mailbox;
mod moment;
mod outbox;
mod target;
mod worker;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_model::Untrusted;
use plimsoll_watch::Ledger;
use plimsoll_watch::alerts::{Alert, Notice};
use plimsoll_watch::metrics::Telling;

pub use error::Error;
pub use target::{BadTarget, Target};

use self::mailbox::{Log, Mailbox};
use self::outbox::{Left, Outbox};
use self::worker::Worker;

/// A connection that is not used is asked for nothing so often, so that it stays open on the way too.
pub const KEPT_EVERY: Duration = Duration::from_secs(30);

/// How much longer than it should take the end is waited for: a program that is killed then has to be seen to end.
const GRACE: Duration = Duration::from_millis(500);

/// What is to be told.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// What is there now, as bad as it was told.
    pub raised: Vec<Alert>,
    /// What has come, become worse, or gone.
    pub notices: Vec<Notice>,
    /// When, in seconds since 1970.
    pub at: f64,
}

/// What came of telling somebody.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// It was told something.
    Told(&'a Target),
    /// It is told again, after it could not be.
    Recovered(&'a Target),
    /// It could not be told, and is tried again. Said once, until it can be again.
    Failed(&'a Target, &'a Error),
    /// It would not take a notice, which is not tried again.
    Refused(&'a Target, &'a Error),
    /// Too many notices wait: from now on the oldest are given up. Said once, until there is room again.
    Overflowing(&'a Target),
    /// There is room again, but so many notices were given up.
    GivenUp(&'a Target, usize),
    /// It is a target no more, and so many notices that waited for it are given up.
    Removed(&'a Target, usize),
    /// An earlier run told somebody, whom it knew by this key, and who is a target no more: so many notices that waited are given up.
    Forgotten(&'a str, usize),
}

/// Tells others.
pub struct Notifier {
    host: Untrusted,
    log: Arc<Log>,
    mailboxes: Vec<Arc<Mailbox>>,
    /// What came of telling targets that are no more.
    earlier: BTreeMap<&'static str, Telling>,
}

/// Targets that are about to be told, and are not yet: if this is dropped, they never are.
#[derive(Debug)]
pub struct Invited {
    targets: Vec<Target>,
    newcomers: Vec<Arc<Mailbox>>,
}

impl Notifier {
    /// Opens the connections, and goes on with what an earlier run left to be told. `host` is this host's name, in what is told; `log` is told
    /// what comes of it. A target that is named twice is told once.
    pub fn begin(targets: Vec<Target>, host: Untrusted, log: Arc<Log>, ledger: &Ledger) -> io::Result<Self> {
        let mut notifier = Self { host, log, mailboxes: Vec::new(), earlier: BTreeMap::new() };
        let invited = notifier.invite_with(targets, ledger)?;
        notifier.adopt(invited);
        notifier.forget_others(ledger);
        Ok(notifier)
    }

    /// Makes ready for other targets. Those that are new open their connections; nothing else changes until they are adopted.
    pub fn invite(&self, targets: Vec<Target>) -> io::Result<Invited> {
        self.invite_with(targets, &Ledger::default())
    }

    /// Tells these from now on. What waits for a target that stays, waits still. A new one is told at the next news of what is there.
    pub fn adopt(&mut self, invited: Invited) {
        let mut before = std::mem::take(&mut self.mailboxes);
        let mut invited = invited;
        let mut newcomers = std::mem::take(&mut invited.newcomers);
        for target in &invited.targets {
            let found = take_of(&mut before, target).or_else(|| take_of(&mut newcomers, target));
            self.mailboxes.extend(found);
        }
        for gone in before {
            self.retire(&gone);
        }
    }

    /// Hands news over. It never waits for a target.
    pub fn tell(&self, news: &News) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.take(news, &*self.log));
    }

    /// What would wait for each, by its key, if these news were handed over. Who has heard of nothing yet is not in it.
    pub fn waiting_with(&self, news: &News) -> BTreeMap<String, Vec<Notice>> {
        self.of_each(|mailbox| mailbox.waiting_with(news))
    }

    /// What waits for each, by its key. Who has heard of nothing yet is not in it.
    pub fn waiting(&self) -> BTreeMap<String, Vec<Notice>> {
        self.of_each(Mailbox::waiting)
    }

    /// What came of it so far, by kind of target. An Alertmanager is told of all that is there in one.
    pub fn telling(&self) -> Vec<Telling> {
        let mut of_kinds = self.earlier.clone();
        for mailbox in &self.mailboxes {
            let (telling, waiting) = tally(&mut of_kinds, mailbox);
            telling.waiting += waiting as u64;
        }
        of_kinds.into_values().collect()
    }

    /// Tries what waits once more, all targets at the same time and for no longer than this. Returns for whom something waits still, and
    /// how many notices.
    pub fn end(&mut self, within: Duration) -> Vec<(Target, usize)> {
        let until = Instant::now() + within;
        self.mailboxes.iter().for_each(|mailbox| mailbox.end(until));
        self.mailboxes.iter().for_each(|mailbox| mailbox.await_end(until + GRACE));
        let left = |mailbox: &Arc<Mailbox>| (mailbox.target().clone(), mailbox.counts().1);
        self.mailboxes.iter().map(left).filter(|(_, waiting)| *waiting > 0).collect()
    }

    fn invite_with(&self, targets: Vec<Target>, ledger: &Ledger) -> io::Result<Invited> {
        let mut invited = Invited { targets: once_each(targets), newcomers: Vec::new() };
        for target in &invited.targets {
            if self.mailboxes.iter().any(|mailbox| mailbox.target() == target) {
                continue;
            }
            let waiting = ledger.waiting.get(&target.key()).map(Vec::as_slice);
            let outbox = Outbox::new(target, Left { told: &ledger.told, waiting });
            let mailbox = Arc::new(Mailbox::new(target.clone(), outbox));
            let worker = Worker { mailbox: Arc::clone(&mailbox), host: self.host.clone(), log: Arc::clone(&self.log) };
            thread::Builder::new().name("notify".to_string()).spawn(move || worker.work())?;
            invited.newcomers.push(mailbox);
        }
        Ok(invited)
    }

    /// What waited for who is a target no more is dropped.
    fn forget_others(&self, ledger: &Ledger) {
        for (key, waiting) in &ledger.waiting {
            let is_told = self.mailboxes.iter().any(|mailbox| mailbox.target().key() == *key);
            if !(is_told || waiting.is_empty()) {
                (self.log)(Outcome::Forgotten(key, waiting.len()));
            }
        }
    }

    fn retire(&mut self, mailbox: &Mailbox) {
        mailbox.remove();
        let (telling, waiting) = tally(&mut self.earlier, mailbox);
        telling.dropped += waiting as u64;
        if waiting > 0 {
            (self.log)(Outcome::Removed(mailbox.target(), waiting));
        }
    }

    fn of_each(&self, what: impl Fn(&Mailbox) -> Option<Vec<Notice>>) -> BTreeMap<String, Vec<Notice>> {
        let of = |mailbox: &Arc<Mailbox>| Some((mailbox.target().key(), what(mailbox)?));
        self.mailboxes.iter().filter_map(of).collect()
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.remove());
    }
}

impl Drop for Invited {
    fn drop(&mut self) {
        self.newcomers.iter().for_each(|mailbox| mailbox.remove());
    }
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").field("mailboxes", &self.mailboxes).finish_non_exhaustive()
    }
}

fn take_of(mailboxes: &mut Vec<Arc<Mailbox>>, target: &Target) -> Option<Arc<Mailbox>> {
    let at = mailboxes.iter().position(|mailbox| mailbox.target() == target)?;
    Some(mailboxes.swap_remove(at))
}

fn once_each(targets: Vec<Target>) -> Vec<Target> {
    let mut each: Vec<Target> = Vec::new();
    for target in targets {
        if !each.contains(&target) {
            each.push(target);
        }
    }
    each
}

/// Adds what came of telling a target to the others of its kind. Returns that, and how many notices wait.
fn tally<'a>(of_kinds: &'a mut BTreeMap<&'static str, Telling>, mailbox: &Mailbox) -> (&'a mut Telling, usize) {
    let target_kind = mailbox.target().kind();
    let none = Telling { target_kind, told: 0, refused: 0, dropped: 0, waiting: 0 };
    let telling = of_kinds.entry(target_kind).or_insert(none);
    let (counts, waiting) = mailbox.counts();
    telling.told += counts.told;
    telling.refused += counts.refused;
    telling.dropped += counts.dropped;
    (telling, waiting)
}
