//! What the daemon is to do: by the command line, and by a file for what that leaves open.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use plimsoll_govern::Rules;
use plimsoll_model::Untrusted;
use plimsoll_notify::Target;
use plimsoll_plan::Profile;
use plimsoll_watch::metrics::Names;
use serde::Deserialize;

use super::WatchArguments;
use super::governing::Wish;
use crate::apply::state_dir;
use crate::arguments::seconds;

/// Where it listens if nothing is said.
const LISTEN: &str = "127.0.0.1:9754";

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

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    interval: Option<Time>,
    listen: Option<Vec<String>>,
    web_config: Option<PathBuf>,
    names: Vec<String>,
    unconfined: bool,
    textfile: Option<PathBuf>,
    compat_metrics: bool,
    untracked: bool,
    state_dir: Option<PathBuf>,
    keep_history: Option<bool>,
    notify: Vec<Notify>,
    govern: Option<Govern>,
}

/// That timeouts are to be governed, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Govern {
    profile: Option<Name>,
    start: Option<f64>,
    end: Option<f64>,
}

/// A profile's name.
#[derive(Clone, Copy, Debug)]
struct Name(Profile);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// A time, as the command line has it.
#[derive(Clone, Copy, Debug)]
struct Time(Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        seconds(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Somebody to tell.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Notify {
    Alertmanager(String),
    Webhook(String),
    Command(Vec<String>),
}

impl Settings {
    /// What the command line asks for, and the file that it names.
    pub(super) fn of(arguments: &WatchArguments) -> anyhow::Result<Self> {
        let file = arguments.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let interval = arguments.interval.or(file.interval.map(|Time(time)| time)).unwrap_or(INTERVAL);
        if interval < Duration::from_secs(1) {
            bail!("readings may come once a second at most (--interval)");
        }
        let listen = if arguments.listen.is_empty() { file.listen } else { Some(arguments.listen.clone()) };
        let listen = listen.unwrap_or_else(|| vec![LISTEN.to_string()]);
        let untracked = if arguments.untracked || file.untracked { Untracked::Yes } else { Untracked::No };
        let in_memory = arguments.no_history_file || file.keep_history == Some(false);
        Ok(Self {
            interval,
            listen: listen
                .iter()
                .filter(|place| *place != "none")
                .map(|place| place_of(place))
                .collect::<Result<_, _>>()?,
            web_config: arguments.web_config.clone().or(file.web_config),
            names_of_host: if arguments.name.is_empty() { file.names } else { arguments.name.clone() },
            confined: if arguments.unconfined || file.unconfined { Confined::No } else { Confined::Yes },
            textfile: arguments.textfile.clone().or(file.textfile).map(textfile).transpose()?,
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

impl File {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let name = Untrusted::from(path.to_string_lossy().as_ref());
        let text = fs::read_to_string(path).with_context(|| format!("reading the configuration file {name}"))?;
        // The error has the line and the key.
        toml::from_str(&text)
            .map_err(|error| anyhow!("the configuration file {name}: {}", error.to_string().trim_end()))
    }
}

fn place_of(text: &str) -> anyhow::Result<Where> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Where::Unix(path.into()));
    }
    let address = text.parse().map_err(|_| {
        anyhow!("--listen takes ADDRESS:PORT (127.0.0.1:9754, [::]:9754), unix:PATH, or none: not {text:?}")
    })?;
    Ok(Where::Tcp(address))
}

fn textfile(path: PathBuf) -> anyhow::Result<PathBuf> {
    if path.extension().is_none_or(|extension| extension != "prom") {
        bail!("node_exporter reads files whose names end in .prom: {} does not", path.display());
    }
    Ok(path)
}

fn targets(arguments: &WatchArguments, of_file: Vec<Notify>) -> anyhow::Result<Vec<Target>> {
    let mut targets: Vec<Target> = of_file.into_iter().map(target).collect();
    targets.extend(arguments.alertmanager.iter().cloned().map(Target::Alertmanager));
    targets.extend(arguments.webhook.iter().cloned().map(Target::Webhook));
    let program = |path: &PathBuf| Target::Command(vec![path.to_string_lossy().into_owned()]);
    targets.extend(arguments.notify_command.iter().map(program));
    for target in &targets {
        match target {
            Target::Alertmanager(url) | Target::Webhook(url) => {
                if !(url.starts_with("http://") || url.starts_with("https://")) {
                    bail!(
                        "an address of Alertmanager or of a webhook begins with http:// or https://: {target} has none such"
                    );
                }
            }
            Target::Command(words) if words.is_empty() => bail!("a command to run for each notice is empty"),
            Target::Command(_) => {}
        }
    }
    Ok(targets)
}

fn govern(arguments: &WatchArguments, of_file: Option<Govern>) -> anyhow::Result<Option<Wish>> {
    let Some(of_file) = of_file.or(arguments.govern.then(Govern::default)) else { return Ok(None) };
    let profile = arguments.govern_profile.or(of_file.profile.map(|Name(profile)| profile));
    let default = Rules::default();
    let rules =
        Rules { start: of_file.start.unwrap_or(default.start), end: of_file.end.unwrap_or(default.end), ..default };
    Ok(Some(Wish { profile: profile.unwrap_or(Profile::General), rules: rules.checked()? }))
}

fn target(notify: Notify) -> Target {
    match notify {
        Notify::Alertmanager(url) => Target::Alertmanager(url),
        Notify::Webhook(url) => Target::Webhook(url),
        Notify::Command(words) => Target::Command(words),
    }
}
