//! A scenario, as it is written and as it is held.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use plimsoll_model::{FindingId, Untrusted};
use serde::Deserialize;
use toml::Spanned;

use crate::proxy::Proxy;
use crate::router::{DestinationNat, Masquerade, Router, SourceNat};
use crate::script::{FlowProtocol, Script, ScriptId};
use crate::time::{Number, optional_secs, secs};
use crate::{Arrivals, Clients, Error, Prefix, Servers, Standing};

/// A workload, and what is to be found while it is played.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is called by.
    pub name: Untrusted,
    /// What it is, in a line.
    pub title: Untrusted,
    /// What it is, for a person who sees it for the first time, by lines.
    pub about: Vec<Untrusted>,
    /// How long.
    pub play: Play,
    /// What only some hosts have.
    pub needs: Needs,
    /// What the router does.
    pub router: Router,
    /// A reverse proxy in the router's place; then there is no other traffic.
    pub proxy: Option<Proxy>,
    /// Entries that are there when it begins.
    pub standing: Vec<Standing>,
    /// Flows that come.
    pub traffic: Vec<Traffic>,
    /// What must be found; `None` where a check has nothing to find, because it is only simulated.
    pub expect: Option<Expect>,
    /// How it is simulated, if it is made for that.
    pub simulate: Option<Simulate>,
    scripts: Vec<Script>,
}

/// How long a scenario takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Play {
    /// How long packets are sent, if nobody stops it before.
    pub lasts: Duration,
    /// When to check: before the end, where there is something that a check must find.
    pub check_at: Duration,
}

/// What a scenario needs of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// A hash with no more buckets than these.
    pub buckets_at_most: Option<u32>,
}

/// Flows of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// What they are called.
    pub name: Untrusted,
    /// When they begin.
    pub arrivals: Arrivals,
    /// Where from.
    pub clients: Clients,
    /// Where to.
    pub servers: Servers,
    /// What becomes of them.
    pub script: ScriptId,
}

/// How a scenario is simulated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulate {
    /// Settings that it is made for, by the sysctls' full names, in the order of the names. Whether there are such is for
    /// whom to say who sets them.
    #[serde(default, deserialize_with = "sysctls")]
    pub sysctls: Vec<(Untrusted, u32)>,
}

fn sysctls<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<(Untrusted, u32)>, D::Error> {
    let written = BTreeMap::<String, u32>::deserialize(deserializer)?;
    Ok(written.into_iter().map(|(name, value)| (Untrusted::from(name.as_str()), value)).collect())
}

/// What a check must say of the namespace in which a scenario is played.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Findings that must be there.
    #[serde(deserialize_with = "ids")]
    pub must: Vec<FindingId>,
    /// Findings that may be there; no others may.
    #[serde(default, deserialize_with = "ids")]
    pub may: Vec<FindingId>,
    /// Verdicts of which it must be one; any, where none is named.
    #[serde(default)]
    pub verdicts: Vec<ExpectedVerdict>,
}

fn ids<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<FindingId>, D::Error> {
    let written = Vec::<String>::deserialize(deserializer)?;
    let parsed = written.iter().map(|id| {
        id.parse().map_err(|_| {
            serde::de::Error::custom(format!("\"{id}\" is not the id of a finding: see `plimsoll explain`"))
        })
    });
    parsed.collect()
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedVerdict {
    /// Nothing is wrong.
    Ok,
    /// Something will be.
    Warning,
    /// Something is.
    Critical,
}

impl Scenario {
    /// Reads a scenario. `file` is what errors call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let raw: RawScenario = toml::from_str(text)
            .map_err(|error| Error::at(file, text, error.span().map_or(0, |span| span.start), error.message()))?;
        let problem = |span: Range<usize>, problem: String| Error::at(file, text, span.start, &problem);

        let known: Vec<&str> = raw.scripts.keys().map(String::as_str).collect();
        let find = |name: &str| known.binary_search(&name).ok().map(ScriptId);
        let mut scripts = Vec::new();
        for script in raw.scripts.values() {
            let round_trip = script.rtt_ms.map_or(Ok(Duration::from_millis(10)), |rtt| {
                Number::Broken(rtt.value() / 1000.0).secs().map_err(|error| problem(script.packets.span(), error))
            })?;
            scripts.push(Script::parse(script.packets.get_ref(), round_trip, find).map_err(|(line, error)| {
                let begin = script.packets.span().start;
                let mut error = problem(begin..begin, error);
                // TOML drops the line break behind the quotes.
                error.line += line + usize::from(text.get(begin..).is_some_and(|text| text.starts_with("\"\"\"\n")));
                error
            })?);
        }
        let opens_no_other = |id: ScriptId| scripts.get(id.0).is_some_and(|script| script.opens().next().is_none());
        for (script, raw) in scripts.iter().zip(raw.scripts.values()) {
            if !script.opens().all(opens_no_other) {
                let error = "a script that is opened by another cannot open a third";
                return Err(problem(raw.packets.span(), error.to_string()));
            }
        }

        if let Some(proxy) = &raw.proxy {
            let nothing_else = raw.traffic.is_empty() && raw.standing.is_empty() && raw.dnat.is_empty();
            let no_helper = raw.helper.ftp_port.is_none() && raw.helper.sip_port.is_none();
            if !(nothing_else && no_helper && raw.snat.is_empty() && raw.masquerade.is_empty()) {
                let error = "a scenario with a `proxy` has no traffic, standing entries, NAT or helper of its own";
                return Err(problem(proxy.span(), error.to_string()));
            }
        }

        if raw.expect.is_none() && raw.simulate.is_none() {
            let error = "`[expect]` is missing: write it with the ids of what a check must find, as `must = []` for \
                         nothing; or `[simulate]`, if it is not made to be played and checked";
            return Err(Error::at(file, text, text.len(), error));
        }
        let play_at = raw.play.span();
        let play = match (raw.play.into_inner(), &raw.expect) {
            (RawPlay { lasts, check_at: Some(check_at) }, _) => Play { lasts, check_at },
            (RawPlay { lasts, check_at: None }, None) => Play { lasts, check_at: lasts },
            (RawPlay { check_at: None, .. }, Some(_)) => {
                return Err(problem(play_at, "missing field `check_at_secs`".to_string()));
            }
        };
        let mut traffic = Vec::new();
        for flows in raw.traffic {
            let span = flows.span();
            let Some(script) = find(flows.get_ref().script.get_ref()) else {
                let named = &flows.get_ref().script;
                let error = format!("there is no script \"{}\"; there are: {}", named.get_ref(), known.join(", "));
                return Err(problem(named.span(), error));
            };
            let protocol = scripts.get(script.0).map(Script::protocol);
            traffic.push(flows.into_inner().resolve(script, protocol, play).map_err(|error| problem(span, error))?);
        }
        let scenario = Self {
            name: Untrusted::from(raw.name.as_str()),
            title: Untrusted::from(raw.title.as_str()),
            about: raw.about.trim().lines().map(Untrusted::from).collect(),
            play,
            needs: raw.needs,
            router: Router {
                destination_nat: raw.dnat,
                source_nat: raw.snat,
                masquerade: raw.masquerade,
                ftp_port: raw.helper.ftp_port,
                sip_port: raw.helper.sip_port,
            },
            proxy: raw.proxy.map(Spanned::into_inner),
            standing: raw.standing,
            traffic,
            expect: raw.expect,
            simulate: raw.simulate,
            scripts,
        };
        match scenario.sides_that_overlap() {
            Some((clients, servers)) => Err(Error::at(
                file,
                text,
                0,
                &format!("clients in {clients} and servers in {servers} overlap, and lie on two sides of a router"),
            )),
            None => Ok(scenario),
        }
    }

    /// One of its scripts.
    pub(crate) fn script(&self, id: ScriptId) -> Option<&Script> {
        self.scripts.get(id.0)
    }

    /// Whether any of its flows announces media ports, as SIP does.
    pub fn announces_media(&self) -> bool {
        self.scripts.iter().any(Script::announces_media)
    }

    /// The networks on the clients' side.
    pub fn client_networks(&self) -> impl Iterator<Item = Prefix> {
        let standing = self.standing.iter().map(|standing| standing.clients.network);
        standing.chain(self.traffic.iter().map(|traffic| traffic.clients.network))
    }

    fn sides_that_overlap(&self) -> Option<(Prefix, Prefix)> {
        let standing = self.standing.iter().map(|standing| standing.servers.network);
        let servers: Vec<_> = standing.chain(self.traffic.iter().map(|traffic| traffic.servers.network)).collect();
        let mut pairs = self.client_networks().flat_map(|client| servers.iter().map(move |server| (client, *server)));
        pairs.find(|(client, server)| client.overlaps(*server))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    name: String,
    title: String,
    about: String,
    play: Spanned<RawPlay>,
    #[serde(default)]
    needs: Needs,
    #[serde(default)]
    helper: RawHelper,
    #[serde(default)]
    dnat: Vec<DestinationNat>,
    #[serde(default)]
    snat: Vec<SourceNat>,
    #[serde(default)]
    masquerade: Vec<Masquerade>,
    proxy: Option<Spanned<Proxy>>,
    #[serde(default)]
    standing: Vec<Standing>,
    #[serde(default)]
    traffic: Vec<Spanned<RawTraffic>>,
    #[serde(default)]
    scripts: BTreeMap<String, RawScript>,
    expect: Option<Expect>,
    simulate: Option<Simulate>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHelper {
    ftp_port: Option<u16>,
    sip_port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    rtt_ms: Option<Number>,
    packets: Spanned<String>,
}

struct RawPlay {
    lasts: Duration,
    check_at: Option<Duration>,
}

impl<'de> Deserialize<'de> for RawPlay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            #[serde(deserialize_with = "secs")]
            secs: Duration,
            #[serde(default, deserialize_with = "optional_secs")]
            check_at_secs: Option<Duration>,
        }
        let written = Written::deserialize(deserializer)?;
        if written.check_at_secs.is_some_and(|at| at >= written.secs) {
            return Err(serde::de::Error::custom("`check_at_secs` must come before the end, `secs`"));
        }
        Ok(Self { lasts: written.secs, check_at: written.check_at_secs })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTraffic {
    name: String,
    per_sec: Option<Number>,
    count: Option<u32>,
    #[serde(default, deserialize_with = "secs")]
    from_secs: Duration,
    #[serde(default, deserialize_with = "optional_secs")]
    until_secs: Option<Duration>,
    clients: Clients,
    servers: Servers,
    script: Spanned<String>,
}

impl RawTraffic {
    fn resolve(self, script: ScriptId, protocol: Option<FlowProtocol>, play: Play) -> Result<Traffic, String> {
        let from = self.from_secs;
        // A number comes at once, a rate goes on, if nothing else is said.
        let until = self.until_secs.unwrap_or(if self.count.is_some() { from } else { play.lasts });
        if until < from || until > play.lasts {
            return Err("`until_secs` must lie between `from_secs` and the scenario's end".to_string());
        }
        let arrivals = match (self.per_sec.map(Number::value), self.count) {
            (Some(per_sec), None) if per_sec > 0.0 && per_sec <= 1e6 => Arrivals::Random { per_sec, from, until },
            (Some(_), None) => return Err("`per_sec` must be above 0 and at most a million".to_string()),
            (None, Some(count)) => Arrivals::Spread { count, from, until },
            _ => return Err("write either `per_sec` or `count`".to_string()),
        };
        match (protocol, self.servers.ports) {
            (Some(FlowProtocol::Tcp | FlowProtocol::Udp), None) => {
                return Err("its servers need `ports`".to_string());
            }
            (Some(FlowProtocol::Icmp), Some(_)) => {
                return Err("its script is ICMP, which has no ports: leave out the servers' `ports`".to_string());
            }
            _ => {}
        }
        let name = Untrusted::from(self.name.as_str());
        Ok(Traffic { name, arrivals, clients: self.clients, servers: self.servers, script })
    }
}
