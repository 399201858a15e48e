//! The daemon: what it holds, and what it does with a reading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use plimsoll_confine::Report;
use plimsoll_host::HostFs;
use plimsoll_model::Untrusted;
use plimsoll_notify::{News, Notifier, Outcome};
use plimsoll_watch::alerts::{Alerts, Notice};
use plimsoll_watch::ledger::LedgerFile;
use plimsoll_watch::metrics::Format;
use plimsoll_watch::untracked::Untracked;
use plimsoll_watch::{Board, History, Ledger, Pages, Told, Watcher, textfile};
use plimsoll_web::{Access, Limits, Listen, Listener, Server};
use sd_notify::NotifyState;

use super::confined::confined;
use super::events::Bell;
use super::governing::Governing;
use super::log::{Log, Once};
use super::settings::{self, HistoryIn, Settings, Where};

/// The history's file, in the folder of the daemon's state.
const HISTORY_FILE: &str = "history.jsonl";

/// The file of what was told, beside it.
const LEDGER_FILE: &str = "told.jsonl";

/// When it ends, what waits to be told is tried for so long. A service manager waits longer.
const FAREWELL: Duration = Duration::from_secs(5);

pub(super) struct Daemon {
    pub(super) settings: Settings,
    pub(super) log: Log,
    pub(super) board: Arc<Board>,
    pub(super) pages: Arc<Pages>,
    pub(super) server: Option<Server>,
    pub(super) untracked: Option<Untracked>,
    pub(super) notifier: Notifier,
    pub(super) governing: Option<Governing>,
    given_up: Option<Report>,
    alerts: Alerts,
    /// Where it is written down what was told; in memory alone without.
    ledger: Option<LedgerFile>,
    readings: Once,
    history: Once,
    textfile: Once,
    telling: Once,
    rules: Once,
}

impl Daemon {
    /// Opens all that it needs. What is refused now is an error; what is refused later is said, and it goes on.
    pub(super) fn begin(settings: Settings, log: Log, bell: Bell) -> anyhow::Result<Self> {
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
        let (ledger_file, ledger) = ledger(&settings, log);
        let notifier = notifier(&settings, log, bell, &ledger)?;
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
            alerts: Alerts::kept(ledger.told),
            ledger: ledger_file,
            readings: Once::default(),
            history: Once::default(),
            textfile: Once::default(),
            telling: Once::default(),
            rules: Once::default(),
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
        let news = News { raised: self.alerts.raised().collect(), notices, at: told.at };
        self.board.note_telling(self.notifier.telling());
        // What is told is written down first: whoever is killed in between tells it twice rather than never that it is over.
        self.keep_what_is_told(self.notifier.waiting_with(&news));
        self.notifier.tell(&news);
        self.write_textfile();
        self.look_after_rules();
        // It is the readings that must not stand still.
        tell_systemd(NotifyState::Watchdog);
    }

    /// Somebody was told something, which is written down at once: whoever is killed then has nothing to tell twice.
    pub(super) fn note_told(&mut self) {
        self.board.note_telling(self.notifier.telling());
        self.keep_what_is_told(self.notifier.waiting());
    }

    /// A reading could not be made.
    pub(super) fn note_failure(&mut self, error: &plimsoll_observe::Error) {
        self.board.note_failure();
        self.readings.note(Err(error), self.log, "");
        self.write_textfile();
    }

    /// Makes the rules for untracked connections anew, if there should be some and whoever held them has ended.
    fn look_after_rules(&mut self) {
        if self.server.is_none() || self.untracked.as_mut().is_some_and(Untracked::is_there) {
            return;
        }
        let were_there = self.untracked.take().is_some();
        let made = untracked(&self.settings).map(|rules| self.untracked = rules);
        if were_there && made.is_ok() {
            self.log.wrong("the rules for connections that are not tracked were gone, and are made anew");
        }
        let made = made.map_err(|error| format!("connections are tracked: {error:#}"));
        self.rules.note(made, self.log, "connections are not tracked again");
    }

    /// Ends, and leaves nothing behind but the history, what was told, and the file of metrics.
    pub(super) fn end(mut self) {
        tell_systemd(NotifyState::Stopping);
        self.governing = None;
        for (target, waiting) in self.notifier.end(FAREWELL) {
            let then = self.ledger.as_ref().map_or("they are lost", |_| "they are told after the next start");
            self.log.wrong(&format!("notices for {target} that could not be told: {waiting}; {then}"));
        }
        self.keep_what_is_told(self.notifier.waiting());
        if let Some(server) = self.server {
            server.end();
        }
        drop(self.untracked);
    }

    /// Writes down what was told, and what waits to be told.
    fn keep_what_is_told(&mut self, waiting: BTreeMap<String, Vec<Notice>>) {
        let Some(file) = &mut self.ledger else { return };
        let kept = file.keep(Ledger { told: self.alerts.told().cloned().collect(), waiting });
        self.telling.note(kept, self.log, "what was told is written down again");
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

pub(super) fn untracked(settings: &Settings) -> anyhow::Result<Option<Untracked>> {
    let addresses = settings.addresses();
    if settings.untracked == settings::Untracked::No || addresses.is_empty() {
        return Ok(None);
    }
    Ok(Some(Untracked::begin(&addresses)?))
}

pub(super) fn bind(settings: &Settings) -> anyhow::Result<Vec<Listener>> {
    let bind = |place: &Where| match place {
        Where::Tcp(address) => Listen::Tcp(*address).bind(),
        Where::Unix(path) => Listen::Unix { path: path.clone(), mode: Listen::GROUP }.bind(),
    };
    Ok(settings.listen.iter().map(bind).collect::<Result<_, _>>()?)
}

pub(super) fn serve(
    settings: &Settings,
    listeners: Vec<Listener>,
    pages: &Arc<Pages>,
) -> anyhow::Result<Option<Server>> {
    if listeners.is_empty() {
        return Ok(None);
    }
    Ok(Some(Server::begin(listeners, access(settings), Limits::default(), Arc::clone(pages) as _)?))
}

pub(super) fn access(settings: &Settings) -> Access {
    Access { web_config: settings.web_config.clone(), names: settings.names_of_host.clone() }
}

pub(super) fn governing(settings: &Settings, board: &Arc<Board>, log: Log) -> anyhow::Result<Option<Governing>> {
    let begin = |wish| Governing::begin(wish, settings.state_dir.clone(), Arc::clone(board), log);
    settings.govern.as_ref().map(begin).transpose()
}

/// What an earlier run told, and where this one writes it down.
fn ledger(settings: &Settings, log: Log) -> (Option<LedgerFile>, Ledger) {
    match settings.history {
        HistoryIn::Memory => (None, Ledger::default()),
        HistoryIn::File => {
            let path = settings.state_dir.join(LEDGER_FILE);
            let (file, ledger) = LedgerFile::open(&path, &|error| log.wrong(&error.to_string()));
            (Some(file), ledger)
        }
    }
}

fn notifier(settings: &Settings, log: Log, bell: Bell, ledger: &Ledger) -> anyhow::Result<Notifier> {
    let host = HostFs::new().host().read.name.unwrap_or_else(|| Untrusted::from("this host"));
    let host = Untrusted::from_escaped(host.as_str().trim_end().to_string());
    let note = move |outcome: Outcome<'_>| {
        log.telling(&outcome);
        if matches!(outcome, Outcome::Told(_) | Outcome::Refused(..)) {
            bell.told();
        }
    };
    Notifier::begin(settings.targets.clone(), host, Arc::new(note), ledger).context("a thread cannot be started")
}

/// Tells the service manager, where there is one that wants to know.
fn tell_systemd(state: NotifyState<'_>) {
    // Without one nothing is told; a failure changes nothing about the watch.
    let _ = sd_notify::notify(&[state]);
}
