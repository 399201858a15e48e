//! What the daemon is to do: by the command line, and by a file for what that leaves open.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use plimsoll_notify::Target;
use plimsoll_plan::Profile;
use plimsoll_watch::metrics::Names;

use super::WatchArguments;
use super::governing::Wish;
use super::measured_floors;
use super::settings_file::{File, Govern, Interval, Notify, Place, Textfile};
use crate::apply::state_dir;

/// Where it listens if nothing is said.
const LISTEN: Where = Where::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9754));

/// How often it reads if nothing is said.
const INTERVAL: Duration = Duration::from_secs(10);

/// What the daemon is to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) interval: Duration,
    pub(super) listen: Vec<Where>,
    pub(super) web_config: Option<PathBuf>,
    /// Names that requests may ask for beside this host's own.
    pub(super) names_of_host: Vec<String>,
    pub(super) confined: Confined,
    pub(super) textfile: Option<PathBuf>,
    pub(super) names: Names,
    pub(super) untracked: Untracked,
    pub(super) targets: Vec<Target>,
    pub(super) govern: Option<Wish>,
    pub(super) state_dir: PathBuf,
    pub(super) history: HistoryIn,
}

/// Where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Where {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Whether connections to it are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untracked {
    No,
    Yes,
}

/// Whether it gives up what it does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confined {
    Yes,
    No,
}

/// Where the history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistoryIn {
    Memory,
    File,
}

impl Settings {
    /// What the command line asks for, and the file that it names.
    pub(super) fn of(arguments: &WatchArguments) -> anyhow::Result<Self> {
        let file = arguments.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let interval = arguments.interval.map(not_too_often).transpose();
        let interval = interval.map_err(|wrong| anyhow!("{wrong} (--interval)"))?;
        let textfile =
            arguments.textfile.clone().map(prom).transpose().map_err(|wrong| anyhow!("{wrong} (--textfile)"))?;
        let untracked = if arguments.untracked || file.untracked { Untracked::Yes } else { Untracked::No };
        let in_memory = arguments.no_history_file || file.keep_history == Some(false);
        Ok(Self {
            interval: interval.or(file.interval.map(|Interval(interval)| interval)).unwrap_or(INTERVAL),
            listen: listen(arguments, file.listen)?,
            web_config: arguments.web_config.clone().or(file.web_config),
            names_of_host: if arguments.name.is_empty() { file.names } else { arguments.name.clone() },
            confined: if arguments.unconfined || file.unconfined { Confined::No } else { Confined::Yes },
            textfile: textfile.or(file.textfile.map(|Textfile(path)| path)),
            names: if arguments.compat_metrics || file.compat_metrics { Names::AndNodeExporters } else { Names::Own },
            untracked,
            targets: targets(arguments, file.notify)?,
            govern: govern(arguments, file.govern)?,
            state_dir: arguments.state_dir.clone().or(file.state_dir).unwrap_or_else(state_dir),
            history: if in_memory { HistoryIn::Memory } else { HistoryIn::File },
        })
    }

    /// Addresses that it listens on.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let of = |place: &Where| match place {
            Where::Tcp(address) => Some(*address),
            Where::Unix(_) => None,
        };
        self.listen.iter().filter_map(of).collect()
    }
}

/// A place to listen, as it is written; `None` is nowhere.
pub(super) fn place_of(text: &str) -> Result<Option<Where>, String> {
    if text == "none" {
        return Ok(None);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Some(Where::Unix(path.into())));
    }
    in_brackets(text)
        .map_or_else(|| text.parse(), Ok)
        .map(|address| Some(Where::Tcp(address)))
        .map_err(|_| format!("takes ADDRESS:PORT (127.0.0.1:9754, [::]:9754), unix:PATH, or none: not {text:?}"))
}

/// An IPv4 address in brackets: around what a pod's environment holds they may be written whatever its family is.
fn in_brackets(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.strip_prefix('[')?.split_once("]:")?;
    Some(SocketAddr::new(IpAddr::V4(address.parse().ok()?), port.parse().ok()?))
}

/// The same time, if readings may come so often.
pub(super) fn not_too_often(interval: Duration) -> Result<Duration, String> {
    if interval < Duration::from_secs(1) {
        Err("readings may come once a second at most".to_string())
    } else {
        Ok(interval)
    }
}

/// The same file, if `node_exporter` reads it.
pub(super) fn prom(path: PathBuf) -> Result<PathBuf, String> {
    if path.extension().is_none_or(|extension| extension != "prom") {
        return Err(format!("node_exporter reads files whose names end in .prom: {} does not", path.display()));
    }
    Ok(path)
}

fn listen(arguments: &WatchArguments, of_file: Option<Vec<Place>>) -> anyhow::Result<Vec<Where>> {
    let places = match of_file {
        Some(of_file) if arguments.listen.is_empty() => of_file.into_iter().map(|Place(place)| place).collect(),
        None if arguments.listen.is_empty() => vec![Some(LISTEN)],
        _ => {
            let places = arguments.listen.iter().map(|text| place_of(text));
            places.collect::<Result<Vec<_>, _>>().map_err(|wrong| anyhow!("--listen {wrong}"))?
        }
    };
    Ok(places.into_iter().flatten().collect())
}

fn targets(arguments: &WatchArguments, of_file: Vec<Notify>) -> anyhow::Result<Vec<Target>> {
    let mut targets: Vec<Target> = of_file.into_iter().map(Notify::target).collect();
    targets.extend(arguments.alertmanager.iter().cloned().map(Target::Alertmanager));
    targets.extend(arguments.webhook.iter().cloned().map(Target::Webhook));
    let program = |path: &PathBuf| Target::Command(vec![path.to_string_lossy().into_owned()]);
    targets.extend(arguments.notify_command.iter().map(program));
    Ok(targets.into_iter().map(Target::checked).collect::<Result<_, _>>()?)
}

fn govern(arguments: &WatchArguments, of_file: Option<Govern>) -> anyhow::Result<Option<Wish>> {
    let Some(of_file) = of_file.or(arguments.govern.then(Govern::default)) else { return Ok(None) };
    let profile = arguments.govern_profile.or(of_file.profile);
    let measured = arguments.govern_measured.as_ref().or(of_file.measured.as_ref());
    let measured = measured.map(|path| measured_floors::read(path)).transpose()?.unwrap_or_default();
    Ok(Some(Wish { profile: profile.unwrap_or(Profile::General), measured, rules: of_file.rules }))
}
