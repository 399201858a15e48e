//! Who is let in, and how that is kept up with files that change.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::file::{Files, Settings};
use crate::{Error, Notice, Site};

/// Files are looked at when somebody asks, and not again within this time.
const LOOK: Duration = Duration::from_secs(1);

/// Who is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Prometheus' web configuration file; without one everybody is let in, without TLS. It and the files that it names are
    /// read again when they have changed: at the next connection or request, at most once a second. What cannot be used
    /// is told to [`Site::notice`], and what was in force stays so.
    pub web_config: Option<PathBuf>,
    /// Names that a `Host` header may have beside this host's own (see the crate's documentation): those under which
    /// a proxy on this host passes requests on.
    pub names: Vec<String>,
}

impl Access {
    /// Whether a server could go by it now: the files are read, and nothing comes of it.
    pub fn try_out(&self) -> Result<(), Error> {
        Current::read(self.clone()).map(drop)
    }
}

/// The settings in force.
#[derive(Debug)]
pub(crate) struct Gate {
    current: Mutex<Current>,
    /// What connections are told. It is sent under the lock, so that who gets settings and listens gets what belongs together.
    news: watch::Sender<News>,
}

/// What a connection is told that is being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// There are other settings: it should end with its next answer.
    Changed,
    /// The server ends.
    Ending,
}

#[derive(Debug)]
struct Current {
    access: Access,
    settings: Arc<Settings>,
    files: Files,
    looked: Instant,
    /// What was last told to be wrong.
    complaint: Option<String>,
}

impl Gate {
    pub(crate) fn new(access: Access) -> Result<Self, Error> {
        Ok(Self { current: Mutex::new(Current::read(access)?), news: watch::Sender::new(News::Changed) })
    }

    /// The settings in force, read anew if their files have changed.
    pub(crate) fn settings(&self, site: &dyn Site) -> Arc<Settings> {
        self.look(site);
        Arc::clone(&self.lock().settings)
    }

    /// The same for a new connection, and what it will be told.
    pub(crate) fn enter(&self, site: &dyn Site) -> (Arc<Settings>, watch::Receiver<News>) {
        self.look(site);
        let current = self.lock();
        (Arc::clone(&current.settings), self.news.subscribe())
    }

    /// Takes other settings, unless they cannot be used.
    pub(crate) fn replace(&self, access: Access) -> Result<(), Error> {
        let new = Current::read(access)?;
        let mut current = self.lock();
        *current = new;
        self.news.send_replace(News::Changed);
        Ok(())
    }

    /// Tells connections that the server ends.
    pub(crate) fn end(&self) {
        self.news.send_replace(News::Ending);
    }

    /// Whether this is one of [`Access::names`].
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.lock().access.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    fn look(&self, site: &dyn Site) {
        let mut current = self.lock();
        let look = current.look();
        if matches!(look, Look::Changed) {
            self.news.send_replace(News::Changed);
        }
        drop(current);
        match look {
            Look::Changed => site.notice(Notice::Reloaded),
            Look::Wrong(error) => site.notice(Notice::NotReloaded(&error)),
            Look::Same => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a look at the files showed.
enum Look {
    Same,
    Changed,
    Wrong(Error),
}

impl Current {
    fn read(access: Access) -> Result<Self, Error> {
        let mut files = Files::default();
        let settings = match &access.web_config {
            Some(path) => Settings::read(path, &mut files)?,
            None => Settings::open().map_err(|fault| Error::Begin { answer: io::Error::other(fault.to_string()) })?,
        };
        Ok(Self { access, settings: Arc::new(settings), files, looked: Instant::now(), complaint: None })
    }

    /// What is wrong is looked at each time, for it may lie in what could not be read, and told once.
    fn look(&mut self) -> Look {
        if self.looked.elapsed() < LOOK {
            return Look::Same;
        }
        self.looked = Instant::now();
        if self.complaint.is_none() && !self.files.have_changed() {
            return Look::Same;
        }
        match Self::read(self.access.clone()) {
            Ok(new) => {
                *self = new;
                Look::Changed
            }
            Err(error) => {
                let told = self.complaint.replace(error.to_string());
                if told == self.complaint { Look::Same } else { Look::Wrong(error) }
            }
        }
    }
}
