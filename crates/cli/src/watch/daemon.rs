//! The daemon: what it holds, and what it does with a reading.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use plimsoll_confine::Report;
use plimsoll_host::HostFs;
use plimsoll_model::Untrusted;
use plimsoll_notify::{News, Notifier, Outcome};
use plimsoll_watch::alerts::Alerts;
use plimsoll_watch::metrics::Format;
use plimsoll_watch::untracked::Untracked;
use plimsoll_watch::{Board, History, Pages, Told, Watcher, textfile};
use plimsoll_web::{Access, Limits, Listen, Listener, Server};
use sd_notify::NotifyState;

use super::confined::confined;
use super::governing::Governing;
use super::log::{Log, Once};
use super::settings::{self, HistoryIn, Settings, Where};

/// The history's file, in the folder of the daemon's state.
const HISTORY_FILE: &str = "history.jsonl";

pub(super) struct Daemon {
    settings: Settings,
    log: Log,
    board: Arc<Board>,
    pages: Arc<Pages>,
    server: Option<Server>,
    untracked: Option<Untracked>,
    notifier: Notifier,
    governing: Option<Governing>,
    given_up: Option<Report>,
    alerts: Alerts,
    readings: Once,
    history: Once,
    textfile: Once,
}

impl Daemon {
    /// Opens all that it needs. What is refused now is an error; what is refused later is said, and it goes on.
    pub(super) fn begin(settings: Settings, log: Log) -> anyhow::Result<Self> {
        let history = history(&settings)?;
        let board = Arc::new(Board::new(settings.interval, settings.names, history));
        let web = move |notice: plimsoll_web::Notice<'_>| match notice {
            plimsoll_web::Notice::Reloaded => log.say("the web configuration has changed, and is in force"),
            plimsoll_web::Notice::NotReloaded(error) => log.wrong(&format!("what was in force stays so: {error}")),
            _ => {}
        };
        let pages = Arc::new(Pages::new(Arc::clone(&board), Box::new(web)));
        let listeners = bind(&settings)?;
        // Before any thread begins: each would keep what this one gives up.
        let given_up = match settings.confined {
            settings::Confined::Yes => Some(confined()?),
            settings::Confined::No => None,
        };
        // Its program has no more rights than this one has kept.
        let untracked = untracked(&settings)?;
        if let Some(path) = &settings.textfile {
            textfile::write(path, &board.metrics(Format::Prometheus))?;
        }
        let server = serve(&settings, listeners, &pages)?;
        let notifier = notifier(&settings, log)?;
        let governing = governing(&settings, &board, log)?;
        Ok(Self {
            settings,
            log,
            board,
            pages,
            server,
            untracked,
            notifier,
            governing,
            given_up,
            alerts: Alerts::new(),
            readings: Once::default(),
            history: Once::default(),
            textfile: Once::default(),
        })
    }

    /// What makes its readings.
    pub(super) fn watcher(&self) -> Watcher {
        Watcher::new(Arc::clone(&self.board), self.settings.state_dir.clone())
    }

    pub(super) fn say_that_it_has_begun(&self) {
        let secs = self.settings.interval.as_secs_f64();
        let dashboard =
            self.settings.addresses().first().map(|address| format!("; the dashboard is at http://{address}/"));
        self.log.say(&format!("reading every {secs} s{}", dashboard.unwrap_or_default()));
        if let Some(given_up) = &self.given_up {
            self.log.say(&format!("what it does not need is given up: {given_up}"));
        }
        tell_systemd(NotifyState::Ready);
    }

    /// Does what a reading asks for.
    pub(super) fn take(&mut self, mut told: Told) {
        self.readings.note(Ok::<(), String>(()), self.log, "this host can be read again");
        self.history.note(self.board.put_up(&mut told), self.log, "the history is written down again");
        self.pages.publish();
        if let (Some(governing), Some(wish)) = (&self.governing, &self.settings.govern) {
            governing.take(&told, wish);
        }
        if let Some(secs) = told.clock_set_by {
            self.alerts.shift(secs);
        }
        let notices = self.alerts.take(&told.status, told.at);
        for notice in &notices {
            self.log.notice(notice);
        }
        self.notifier.tell(&News { raised: self.alerts.raised().cloned().collect(), notices });
        self.write_textfile();
        self.look_after_rules();
        // It is the readings that must not stand still.
        tell_systemd(NotifyState::Watchdog);
    }

    /// A reading could not be made.
    pub(super) fn note_failure(&mut self, error: &plimsoll_observe::Error) {
        self.board.note_failure();
        self.readings.note(Err(error), self.log, "");
        self.write_textfile();
    }

    /// Does from now on what other settings ask for. What cannot be done stays as it was.
    pub(super) fn adopt(&mut self, new: Settings) {
        match self.try_to_adopt(new) {
            Ok(()) => self.log.say("the settings were read anew, and are in force"),
            Err(error) => self.log.wrong(&format!("what was in force stays so: {error:#}")),
        }
    }

    /// Does first what may fail, so that what failed leaves all of it as it was.
    fn try_to_adopt(&mut self, new: Settings) -> anyhow::Result<()> {
        let lasting = |of: &Settings| (of.state_dir.clone(), of.history, of.confined);
        if lasting(&new) != lasting(&self.settings) {
            anyhow::bail!("where the history is kept, and what is given up, changes only at the next start");
        }
        self.adopt_listeners(&new)?;
        if new.govern != self.settings.govern {
            // What is set is undone first.
            self.governing = None;
            self.governing = governing(&new, &self.board, self.log)?;
        }
        if new.targets != self.settings.targets {
            self.notifier = notifier(&new, self.log)?;
        }
        self.board.adopt(new.interval, new.names);
        self.settings = new;
        Ok(())
    }

    /// Listens where other settings want it to. If that fails it listens where it did.
    fn adopt_listeners(&mut self, new: &Settings) -> anyhow::Result<()> {
        let places = |of: &Settings| (of.listen.clone(), of.untracked);
        let is_deaf = self.server.is_none() && !new.listen.is_empty();
        if places(new) == places(&self.settings) && !is_deaf {
            return match &self.server {
                Some(server) => Ok(server.reload(access(new))?),
                None => Ok(()),
            };
        }
        // The old sockets first: the new ones may be the same.
        self.server = None;
        self.untracked = None;
        let open = |of: &Settings| anyhow::Ok((untracked(of)?, serve(of, bind(of)?, &self.pages)?));
        match open(new) {
            Ok((rules, server)) => {
                (self.untracked, self.server) = (rules, server);
                Ok(())
            }
            Err(error) => {
                match open(&self.settings) {
                    Ok((rules, server)) => (self.untracked, self.server) = (rules, server),
                    Err(again) => {
                        self.log
                            .wrong(&format!("it does not listen any more, until settings are read anew: {again:#}"));
                    }
                }
                Err(error)
            }
        }
    }

    /// Makes the rules for untracked connections anew, if whoever held them has ended.
    fn look_after_rules(&mut self) {
        if self.untracked.as_mut().is_none_or(Untracked::is_there) {
            return;
        }
        self.untracked = None;
        match untracked(&self.settings) {
            Ok(rules) => {
                self.untracked = rules;
                self.log.wrong("the rules for connections that are not tracked were gone, and are made anew");
            }
            Err(error) => self.log.wrong(&format!("connections are tracked: {error:#}")),
        }
    }

    /// Ends, and leaves nothing behind but the history.
    pub(super) fn end(self) {
        tell_systemd(NotifyState::Stopping);
        drop(self.governing);
        if let Some(server) = self.server {
            server.end();
        }
        drop(self.untracked);
    }

    fn write_textfile(&self) {
        let Some(path) = &self.settings.textfile else { return };
        let written = textfile::write(path, &self.board.metrics(Format::Prometheus));
        self.textfile.note(written, self.log, "metrics are written to the file again");
    }
}

fn history(settings: &Settings) -> anyhow::Result<History> {
    match settings.history {
        HistoryIn::Memory => Ok(History::in_memory()),
        HistoryIn::File => {
            let folder = plimsoll_apply::StateDir::create(&settings.state_dir)?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            Ok(History::in_file(&folder.path().join(HISTORY_FILE), now)?)
        }
    }
}

fn untracked(settings: &Settings) -> anyhow::Result<Option<Untracked>> {
    let addresses = settings.addresses();
    if settings.untracked == settings::Untracked::No || addresses.is_empty() {
        return Ok(None);
    }
    Ok(Some(Untracked::begin(&addresses)?))
}

fn bind(settings: &Settings) -> anyhow::Result<Vec<Listener>> {
    let bind = |place: &Where| match place {
        Where::Tcp(address) => Listen::Tcp(*address).bind(),
        Where::Unix(path) => Listen::Unix { path: path.clone(), mode: Listen::GROUP }.bind(),
    };
    Ok(settings.listen.iter().map(bind).collect::<Result<_, _>>()?)
}

fn serve(settings: &Settings, listeners: Vec<Listener>, pages: &Arc<Pages>) -> anyhow::Result<Option<Server>> {
    if listeners.is_empty() {
        return Ok(None);
    }
    Ok(Some(Server::begin(listeners, access(settings), Limits::default(), Arc::clone(pages) as _)?))
}

fn access(settings: &Settings) -> Access {
    Access { web_config: settings.web_config.clone(), names: settings.names_of_host.clone() }
}

fn governing(settings: &Settings, board: &Arc<Board>, log: Log) -> anyhow::Result<Option<Governing>> {
    let begin = |wish| Governing::begin(wish, settings.state_dir.clone(), Arc::clone(board), log);
    settings.govern.as_ref().map(begin).transpose()
}

fn notifier(settings: &Settings, log: Log) -> anyhow::Result<Notifier> {
    let host = HostFs::new().host().read.name.unwrap_or_else(|| Untrusted::from("this host"));
    let host = Untrusted::from_escaped(host.as_str().trim_end().to_string());
    let note = move |outcome: Outcome<'_>| match outcome {
        Outcome::Recovered(target) => log.say(&format!("{target} can be told again")),
        Outcome::Failed(target, error) => log.wrong(&format!("{target} cannot be told: {error}")),
        Outcome::GivenUp(target, number) => log.wrong(&format!("{number} notices for {target} were not told")),
    };
    let note: Arc<dyn Fn(Outcome<'_>) + Send + Sync> = Arc::new(note);
    Notifier::begin(settings.targets.clone(), &host, &note).context("a thread cannot be started")
}

/// Tells the service manager, where there is one that wants to know.
fn tell_systemd(state: NotifyState<'_>) {
    // Without one nothing is told; a failure changes nothing about the watch.
    let _ = sd_notify::notify(&[state]);
}
