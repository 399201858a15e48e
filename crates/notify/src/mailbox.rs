//! What one target is told, and what it still has to be told.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use plimsoll_model::Untrusted;
use plimsoll_watch::alerts::{Alert, Notice};

use crate::documents::{Gone, NoticeDocument, alertmanager_document};
use crate::http::{Connection, Kept};
use crate::{Error, News, Outcome, Target, command};

/// Alertmanager is told what is there so often: it forgets what it is not told of.
const REPEATED_EVERY: Duration = Duration::from_mins(1);

/// Notices that are kept for a target that cannot be told.
const MOST_KEPT: usize = 1000;

/// After a failure nothing is tried for this long.
const REST: Duration = Duration::from_secs(10);

/// One target's.
#[derive(Debug)]
pub(crate) struct Mailbox {
    target: Target,
    host: Untrusted,
    way: Way,
    failed_at: Option<Instant>,
}

/// How it is told.
#[derive(Debug)]
enum Way {
    /// All that is there, again and again.
    State { connection: Connection, raised: Vec<Alert>, gone: Vec<Gone>, told: Option<Instant> },
    /// Each notice once, to an address.
    Post { connection: Connection, waiting: VecDeque<Notice> },
    /// Each notice once, to a program.
    Run { words: Vec<String>, waiting: VecDeque<Notice> },
}

impl Mailbox {
    pub(crate) fn new(target: Target, host: Untrusted) -> Self {
        let way = match &target {
            Target::Alertmanager(url) => {
                let url = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
                Way::State { connection: Connection::new(url), raised: Vec::new(), gone: Vec::new(), told: None }
            }
            Target::Webhook(url) => Way::Post { connection: Connection::new(url.clone()), waiting: VecDeque::new() },
            Target::Command(words) => Way::Run { words: words.clone(), waiting: VecDeque::new() },
        };
        Self { target, host, way, failed_at: None }
    }

    /// Takes news, and tells what there is to be told.
    pub(crate) fn take(&mut self, news: &News, log: &dyn Fn(Outcome<'_>)) {
        let given_up = self.way.note(news);
        if given_up > 0 {
            log(Outcome::GivenUp(&self.target, given_up));
        }
        self.tell(log);
    }

    /// Tells what there is to be told.
    pub(crate) fn tell(&mut self, log: &dyn Fn(Outcome<'_>)) {
        if self.is_resting() || !self.way.has_something_to_tell() {
            return;
        }
        let told = self.way.tell(&self.host);
        self.note_outcome(told, log);
    }

    /// Keeps the connection open, where there is one.
    pub(crate) fn keep_open(&mut self, log: &dyn Fn(Outcome<'_>)) {
        if self.is_resting() {
            return;
        }
        let kept = match &mut self.way {
            Way::State { connection, .. } | Way::Post { connection, .. } => connection.keep_open(),
            Way::Run { .. } => return,
        };
        match kept {
            Err(error) => self.note_outcome(Err(error), log),
            // That it answers says nothing of what it would not take.
            Ok(Kept::Tried) if !self.way.has_something_to_tell() => self.note_outcome(Ok(()), log),
            Ok(Kept::Tried | Kept::Fresh) => {}
        }
    }

    fn is_resting(&self) -> bool {
        self.failed_at.is_some_and(|failed| failed.elapsed() < REST)
    }

    fn note_outcome(&mut self, outcome: Result<(), Error>, log: &dyn Fn(Outcome<'_>)) {
        let before = self.failed_at;
        self.failed_at = outcome.is_err().then(Instant::now);
        match (before, outcome) {
            (None, Err(error)) => log(Outcome::Failed(&self.target, &error)),
            (Some(_), Ok(())) => log(Outcome::Recovered(&self.target)),
            _ => {}
        }
    }
}

impl Way {
    /// Takes note of news; returns how many notices are not kept any more.
    fn note(&mut self, news: &News) -> usize {
        match self {
            Self::State { raised, gone, told, .. } => {
                raised.clone_from(&news.raised);
                // What is there again is not gone.
                gone.retain(|gone| raised.iter().all(|alert| alert.trouble != gone.alert.trouble));
                gone.extend(news.notices.iter().filter_map(|notice| match notice {
                    Notice::Resolved { alert, at } => Some(Gone { alert: alert.clone(), at: *at }),
                    Notice::Raised(_) => None,
                }));
                if !news.notices.is_empty() {
                    *told = None;
                }
                let too_many = gone.len().saturating_sub(MOST_KEPT);
                gone.drain(..too_many);
                too_many
            }
            Self::Post { waiting, .. } | Self::Run { waiting, .. } => {
                waiting.extend(news.notices.iter().cloned());
                let too_many = waiting.len().saturating_sub(MOST_KEPT);
                waiting.drain(..too_many);
                too_many
            }
        }
    }

    fn has_something_to_tell(&self) -> bool {
        match self {
            Self::State { raised, gone, told, .. } => {
                let is_due = told.is_none_or(|told| told.elapsed() >= REPEATED_EVERY);
                is_due && !(raised.is_empty() && gone.is_empty())
            }
            Self::Post { waiting, .. } | Self::Run { waiting, .. } => !waiting.is_empty(),
        }
    }

    fn tell(&mut self, host: &Untrusted) -> Result<(), Error> {
        match self {
            Self::State { connection, raised, gone, told } => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let document = alertmanager_document(host, raised, gone, now.as_secs_f64());
                connection.post(&document.to_string())?;
                *told = Some(Instant::now());
                gone.clear();
                Ok(())
            }
            Self::Post { connection, waiting } => each(waiting, host, &mut |json| connection.post(json)),
            Self::Run { words, waiting } => each(waiting, host, &mut |json| command::run(words, json)),
        }
    }
}

/// Tells each notice, the oldest first. One that fails is tried again, and those after it wait.
fn each(
    waiting: &mut VecDeque<Notice>,
    host: &Untrusted,
    tell: &mut dyn FnMut(&str) -> Result<(), Error>,
) -> Result<(), Error> {
    while let Some(notice) = waiting.front() {
        // It is text and a few numbers, which always make a document.
        let json = serde_json::to_string(&NoticeDocument::of(host, notice)).unwrap_or_default();
        tell(&json)?;
        waiting.pop_front();
    }
    Ok(())
}
