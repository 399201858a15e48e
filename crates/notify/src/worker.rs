//! The thread that tells one target.

use std::sync::Arc;
use std::time::SystemTime;

use plimsoll_model::Untrusted;

use crate::http::Connection;
use crate::mailbox::{Log, Mailbox, Task};
use crate::{Error, Target, command};

/// Tells one target what comes into its mailbox, until it is to end.
pub(crate) struct Worker {
    pub(crate) mailbox: Arc<Mailbox>,
    /// This host's name.
    pub(crate) host: Untrusted,
    pub(crate) log: Arc<Log>,
}

/// How a target is told.
enum Way {
    /// Documents are posted.
    Post(Connection),
    /// A program is run for each.
    Run(Vec<String>),
}

impl Worker {
    pub(crate) fn work(self) {
        let mut way = Way::to(self.mailbox.target());
        loop {
            match self.mailbox.next() {
                Task::Tell(letter) => {
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    let told = way.tell(&letter.json(&self.host, now.as_secs_f64()), &self.mailbox);
                    self.mailbox.note_told(&letter, &told, &*self.log);
                }
                Task::KeepOpen => self.mailbox.note_kept(&way.keep_open(), &*self.log),
                Task::End => break,
            }
        }
        self.mailbox.note_end();
    }
}

impl Way {
    fn to(target: &Target) -> Self {
        match target {
            Target::Alertmanager(url) => {
                Self::Post(Connection::new(format!("{}/api/v2/alerts", url.trim_end_matches('/'))))
            }
            Target::Webhook(url) => Self::Post(Connection::new(url.clone())),
            Target::Command(words) => Self::Run(words.clone()),
        }
    }

    fn tell(&mut self, json: &str, mailbox: &Mailbox) -> Result<(), Error> {
        match self {
            Self::Post(connection) => connection.post(json, mailbox.patience(Connection::PATIENCE)),
            Self::Run(words) => command::run(words, json, &|usual| mailbox.patience(usual)),
        }
    }

    fn keep_open(&mut self) -> Result<(), Error> {
        match self {
            Self::Post(connection) => connection.keep_open(),
            Self::Run(_) => Ok(()),
        }
    }
}
