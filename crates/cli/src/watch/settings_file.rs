//! The daemon's file of settings. All that it says is checked while it is read, so that what is wrong is told with its line and key.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use plimsoll_govern::{BadRules, Rules};
use plimsoll_model::Untrusted;
use plimsoll_notify::Target;
use plimsoll_plan::Profile;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::settings::{Where, not_too_often, place_of, prom};
use crate::arguments::seconds;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) interval: Option<Interval>,
    pub(super) listen: Option<Vec<Place>>,
    pub(super) web_config: Option<PathBuf>,
    pub(super) names: Vec<String>,
    pub(super) unconfined: bool,
    pub(super) textfile: Option<Textfile>,
    pub(super) compat_metrics: bool,
    pub(super) untracked: bool,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) keep_history: Option<bool>,
    pub(super) notify: Vec<Notify>,
    pub(super) govern: Option<Govern>,
}

impl File {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = Untrusted::from(path.to_string_lossy().as_ref());
        let text = fs::read_to_string(path).with_context(|| format!("reading the configuration file {name}"))?;
        Self::of(&text).map_err(|wrong| anyhow!("the configuration file {name}{wrong}"))
    }

    fn of(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| format!("{}: {}", place_in(text, &error), error.message()))
    }
}

/// Time between readings.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Interval(pub(super) Duration);

impl TryFrom<String> for Interval {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        not_too_often(seconds(&text)?).map(Self)
    }
}

/// Where it listens; `None` is nowhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Place(pub(super) Option<Where>);

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        place_of(&text).map(Self)
    }
}

/// A file for metrics.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "PathBuf")]
pub(super) struct Textfile(pub(super) PathBuf);

impl TryFrom<PathBuf> for Textfile {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        prom(path).map(Self)
    }
}

/// Somebody to tell. What each has is checked by itself: toml knows the line of what is in a variant, and not of the whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum Notify {
    #[serde(deserialize_with = "alertmanager")]
    Alertmanager(Target),
    #[serde(deserialize_with = "webhook")]
    Webhook(Target),
    #[serde(deserialize_with = "command")]
    Command(Target),
}

impl Notify {
    pub(super) fn target(self) -> Target {
        let (Self::Alertmanager(target) | Self::Webhook(target) | Self::Command(target)) = self;
        target
    }
}

fn alertmanager<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
    Target::Alertmanager(String::deserialize(deserializer)?).checked().map_err(D::Error::custom)
}

fn webhook<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
    Target::Webhook(String::deserialize(deserializer)?).checked().map_err(D::Error::custom)
}

fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
    Target::Command(Vec::deserialize(deserializer)?).checked().map_err(D::Error::custom)
}

/// That timeouts are to be governed, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "GovernTable")]
pub(super) struct Govern {
    pub(super) profile: Option<Profile>,
    pub(super) measured: Option<PathBuf>,
    pub(super) rules: Rules,
}

/// The same, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GovernTable {
    profile: Option<Name>,
    measured: Option<PathBuf>,
    start: Option<f64>,
    end: Option<f64>,
}

impl TryFrom<GovernTable> for Govern {
    type Error = BadRules;

    fn try_from(table: GovernTable) -> Result<Self, BadRules> {
        let default = Rules::default();
        let rules =
            Rules { start: table.start.unwrap_or(default.start), end: table.end.unwrap_or(default.end), ..default };
        let profile = table.profile.map(|Name(profile)| profile);
        Ok(Self { profile, measured: table.measured, rules: rules.checked()? })
    }
}

/// A profile's name.
#[derive(Clone, Copy, Debug)]
struct Name(Profile);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// In which line something is wrong, and under which key. The line is not repeated, as toml does: addresses and commands may have secrets.
fn place_in(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return String::new() };
    let number = before.matches('\n').count();
    let key = text.lines().nth(number).and_then(key_of).map(|key| format!(", {key}"));
    format!(", line {}{}", number + 1, key.unwrap_or_default())
}

/// The key, or the table, that a line begins with.
fn key_of(line: &str) -> Option<&str> {
    let head = line.split(['=', '#']).next()?.trim();
    let key = head.trim_start_matches('[').trim_end_matches(']').trim();
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (!key.is_empty() && key.bytes().all(is_bare)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_either_family_may_stand_in_brackets() {
        for (text, expected) in [("[10.0.0.7]:9754", "10.0.0.7:9754"), ("[fd00::7]:9754", "[fd00::7]:9754")] {
            let place = place_of(text).unwrap().unwrap();
            assert!(matches!(place, Where::Tcp(address) if address.to_string() == expected), "{text}: {place:?}");
        }
        assert!(place_of("fd00::7:9754").is_err() && place_of("[10.0.0.7]").is_err());
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_key() {
        for (text, expected) in [
            ("\nintervall = \"10s\"", ", line 2, intervall: unknown field `intervall`"),
            ("\ninterval = \"0.5s\"", ", line 2, interval: readings may come once a second at most"),
            ("interval = \"soon\"", ", line 1, interval: "),
            ("untracked = true\nlisten = 7", ", line 2, listen: invalid type"),
            ("listen = [\n  \"none\",\n  \"nowhere\",\n]", ", line 1, listen: takes ADDRESS:PORT"),
            ("\n\ntextfile = \"/tmp/metrics.txt\"", ", line 3, textfile: node_exporter reads files"),
            ("[govern]\nstart = 2.0", ", line 1, govern: timeouts cannot shrink between 2 and 1.2"),
            (
                "untracked = true\n[govern] # so\nend = 0.1",
                ", line 2, govern: timeouts cannot shrink between 0.6 and 0.1",
            ),
            ("[govern]\nprofile = \"none such\"", ", line 2, profile: "),
            (
                "[[notify]]\nwebhook = \"http://x\"\n\n[[notify]]\nwebhook = \"ftp://x\"",
                ", line 4, notify: an address of",
            ),
            ("[[notify]]\nalertmanager = \"http://[::1\"", ", line 1, notify: an address of"),
            ("[[notify]]\ncommand = []", ", line 1, notify: a command to run for each notice is empty"),
            ("[[notify]]\npager = \"x\"", ", line 2, pager: unknown variant `pager`"),
            ("interval", ", line 1, interval: "),
        ] {
            let wrong = File::of(text).unwrap_err();
            assert!(wrong.starts_with(expected), "{text}: {wrong}");
        }
    }

    #[test]
    fn what_may_be_secret_is_not_repeated() {
        for text in [
            "notify = [{ webhook = \"ftp://me:SECRET@x/SECRET\" }]",
            "[[notify]]\ncommand = [\n  \"/bin/x\", \"SECRET\", 5]",
            "[[notify]]\nwebhook = \"http://x/SECRET",
        ] {
            let wrong = File::of(text).unwrap_err();
            assert!(!wrong.contains("SECRET"), "{text}: {wrong}");
        }
    }
}
