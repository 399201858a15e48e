//! What a churn has to do with a configuration, and what a change of it saves.

use std::fmt;
use std::net::IpAddr;

use plimsoll_model::{Interval, Service, Untrusted};
use serde::Serialize;

use crate::configuration::said;
use crate::target::canonical;
use crate::{Address, Configuration, Keeping, Opens, Pool, Program, Remedy, Target, Upstream, Write};

/// New connections towards one service, as a finding `reverse-proxy-churn` names it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Churn {
    /// The server's address and port.
    pub towards: Service,
    /// New connections to it a second.
    pub new_per_sec: Interval,
    /// How long an entry stays after its connection is closed: `nf_conntrack_tcp_timeout_time_wait`.
    pub time_wait_secs: u32,
}

/// What is to be done about a churn.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// An upstream of a proxy is, or may be, what the connections go to.
    Proxy(Box<ProxyAdvice>),
    /// No configuration that was read names the service: another program opens the connections.
    Client(ClientAdvice),
}

/// Advice about an upstream.
#[derive(Clone, Debug, Serialize)]
pub struct ProxyAdvice {
    /// Whose configuration it is.
    pub program: Program,
    /// The upstream: where it is, its servers, whether connections to it are kept, why not, and what to write.
    pub upstream: Upstream,
    /// The churn towards its servers: at least one.
    pub churn: Vec<Churn>,
    /// How sure it is that the churn is the upstream's.
    pub matched: Match,
    /// What the remedy saves, where there is one; all of these upstreams together, where there are others.
    pub saving: Option<Saving>,
    /// How many other upstreams lead to some of the same servers: connections do not tell by which one they were opened.
    pub others: usize,
}

/// Advice about clients that are not known.
#[derive(Clone, Debug, Serialize)]
pub struct ClientAdvice {
    /// The churn.
    pub churn: Churn,
    /// What to do.
    pub write: Untrusted,
    /// What it saves, if few connections are kept instead.
    pub saving: Saving,
}

/// How a churn's service was found in an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// By its address and port.
    Address,
    /// By a name that leads to its address now.
    Resolved(Untrusted),
    /// By the port alone: where the name leads is not known.
    PortOf(Untrusted),
}

/// Entries that a change saves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Saving {
    /// Entries of closed connections as it is: the rate times the timeout.
    pub entries_now: Interval,
    /// Entries of closed connections once they are kept: of those that have had their number of requests.
    pub closed_after: Interval,
    /// Entries of connections that are kept idle: at most so many; nothing where the configuration does not bound them.
    pub kept_at_most: Option<u64>,
}

impl Saving {
    /// What a pool saves. Each connection is taken to have one request now. Requests that are being answered have one entry each, before
    /// and after, and are in neither.
    pub fn of<'a>(churn: impl IntoIterator<Item = &'a Churn>, pool: Pool) -> Self {
        let requests = pool.requests_a_connection.map_or(f64::INFINITY, |requests| requests.get() as f64);
        let zero = Interval::exact(0.0);
        let (mut entries_now, mut closed_after) = (zero, zero);
        for churn in churn {
            let held = f64::from(churn.time_wait_secs);
            entries_now = plus(entries_now, churn.new_per_sec, held);
            closed_after = plus(closed_after, churn.new_per_sec, held / requests);
        }
        // From none to all of the connections have come to an end a moment ago.
        closed_after.low = 0.0;
        Self { entries_now, closed_after, kept_at_most: pool.idle_at_most }
    }

    /// The most entries that there are then; nothing where the pool is not bounded.
    pub fn entries_after_at_most(&self) -> Option<f64> {
        self.kept_at_most.map(|kept| kept as f64 + self.closed_after.high)
    }
}

fn plus(sum: Interval, rate: Interval, times: f64) -> Interval {
    Interval {
        low: sum.low + rate.low * times,
        value: sum.value + rate.value * times,
        high: sum.high + rate.high * times,
    }
}

/// What is to be done about each churn, by all that was read. The more connections, the earlier.
///
/// `resolve` tells the addresses of a name, as the proxy would find them; where nobody can ask, it tells none.
pub fn advise(
    configurations: &[Configuration],
    churn_towards: &[Churn],
    resolve: &dyn Fn(&str) -> Vec<IpAddr>,
) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut is_known = vec![false; churn_towards.len()];
    for configuration in configurations {
        for upstream in &configuration.upstreams {
            let matches = churn_towards.iter().zip(&mut is_known).filter_map(|(churn, is_known)| {
                let matched = matched(upstream, churn.towards, resolve)?;
                *is_known |= !matches!(matched, Match::PortOf(_));
                Some((*churn, matched))
            });
            let (mut churn, mut how) = matches.unzip::<_, _, Vec<_>, Vec<_>>();
            // What is sure by its address leaves no room for a guess by the port.
            if how.iter().any(|matched| !matches!(matched, Match::PortOf(_))) {
                let sure: Vec<_> = how.iter().map(|matched| !matches!(matched, Match::PortOf(_))).collect();
                churn = kept(churn, &sure);
                how = kept(how, &sure);
            }
            if let Some(matched) = how.into_iter().next() {
                let saving = match &upstream.keeping {
                    Keeping::NotKept { remedy, .. } => Some(Saving::of(&churn, remedy.then)),
                    _ => None,
                };
                let (program, upstream) = (configuration.program, upstream.clone());
                advice.push(ProxyAdvice { program, upstream, churn, matched, saving, others: 0 });
            }
        }
    }
    // A guess by the port falls where the same churn was found by its address.
    advice.retain(|advice| {
        let is_guess = matches!(advice.matched, Match::PortOf(_));
        let known = |churn: &Churn| churn_towards.iter().zip(&is_known).any(|(other, known)| *known && other == churn);
        !(is_guess && advice.churn.iter().all(known))
    });
    count_others(&mut advice, churn_towards);
    advice.sort_by(|a, b| rate(&b.churn).total_cmp(&rate(&a.churn)));
    let unknown = churn_towards.iter().filter(|churn| !advice.iter().any(|advice| advice.churn.contains(churn)));
    let clients: Vec<_> = unknown.map(|churn| Advice::Client(client(*churn))).collect();
    advice.into_iter().map(|advice| Advice::Proxy(Box::new(advice))).chain(clients).collect()
}

fn count_others(advice: &mut [ProxyAdvice], churn_towards: &[Churn]) {
    for churn in churn_towards {
        let of_it = |advice: &ProxyAdvice| advice.churn.contains(churn);
        let others = advice.iter().filter(|advice| of_it(advice)).count().saturating_sub(1);
        for advice in advice.iter_mut().filter(|advice| of_it(advice)) {
            advice.others = advice.others.max(others);
        }
    }
}

fn kept<T>(all: Vec<T>, keep: &[bool]) -> Vec<T> {
    all.into_iter().zip(keep).filter(|(_, keep)| **keep).map(|(one, _)| one).collect()
}

fn rate(churn: &[Churn]) -> f64 {
    churn.iter().map(|churn| churn.new_per_sec.value).sum()
}

fn matched(upstream: &Upstream, towards: Service, resolve: &dyn Fn(&str) -> Vec<IpAddr>) -> Option<Match> {
    let at_port = |target: &&Target| target.port.is_none_or(|port| port == towards.port);
    let wanted = canonical(towards.address);
    let mut guess = None;
    for target in upstream.targets.iter().filter(at_port) {
        match &target.address {
            Address::Ip(address) if *address == wanted => return Some(Match::Address),
            Address::Ip(_) | Address::Local(_) => {}
            Address::Name(name) => {
                let addresses = resolve(name.as_str());
                if addresses.iter().any(|address| canonical(*address) == wanted) {
                    return Some(Match::Resolved(name.clone()));
                }
                // A name that leads elsewhere is none; without a port there would be no reason at all.
                if addresses.is_empty() && target.port.is_some() {
                    guess = guess.or(Some(Match::PortOf(name.clone())));
                }
            }
        }
    }
    guess
}

fn client(churn: Churn) -> ClientAdvice {
    let service = churn.towards;
    let write = format!(
        "No configuration that was read names {service}. Whatever opens these connections should keep them: one client or \
         session for the whole process and not one for each request, with HTTP/1.1 keep-alive or HTTP/2, a pool of as many \
         connections as there are requests at a time, no `Connection: close`, each answer read to its end, and idle \
         connections closed by the client before the server does."
    );
    let pool = Pool { idle_at_most: None, requests_a_connection: None };
    ClientAdvice { churn, write: said(&write), saving: Saving::of([&churn], pool) }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy(advice) => advice.fmt(f),
            Self::Client(advice) => write!(f, "{} {}", advice.write, advice.saving),
        }
    }
}

impl fmt::Display for ProxyAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Upstream { name, place, targets, keeping } = &self.upstream;
        let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
        writeln!(f, "{}, {place}: {name} ({})", self.program.name(), targets.join(", "))?;
        match &self.matched {
            Match::Address => {}
            Match::Resolved(name) => writeln!(f, "  {name} leads there now")?,
            Match::PortOf(name) => writeln!(f, "  perhaps: where {name} leads is not known, but the port is the same")?,
        }
        match keeping {
            Keeping::Kept(_) => writeln!(
                f,
                "  connections are kept; if there are new ones all the same, the pool is too small for the requests at a \
                 time, or the server closes them"
            ),
            Keeping::ByNature { opens, because } => writeln!(f, "  {opens}: {because}"),
            Keeping::Unknown { because } => because.iter().try_for_each(|reason| writeln!(f, "  not known: {reason}")),
            Keeping::NotKept { opens, because, remedy } => {
                writeln!(f, "  {opens}:")?;
                because.iter().try_for_each(|reason| writeln!(f, "    {reason}"))?;
                write!(f, "{remedy}")?;
                self.saving.iter().try_for_each(|saving| writeln!(f, "  {saving}"))?;
                match self.others {
                    0 => Ok(()),
                    others => writeln!(f, "  all of this together with {others} more that lead to the same server"),
                }
            }
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.write {
            Write::Rewrites(rewrites) => rewrites.iter().try_for_each(|rewrite| writeln!(f, "  {rewrite}"))?,
            Write::ByHand(words) => writeln!(f, "  {words}")?,
        }
        self.cautions.iter().try_for_each(|caution| writeln!(f, "  mind: {caution}"))
    }
}

impl fmt::Display for Opens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EachClientConnection => "a new connection for each connection of a client",
            Self::EachRequest => "a new connection for each request",
        })
    }
}

impl fmt::Display for Saving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Interval { low, value, high } = self.entries_now;
        write!(f, "{value:.0} ({low:.0} to {high:.0}) entries of closed connections become ")?;
        match self.entries_after_at_most() {
            Some(most) => write!(f, "at most {most:.0}, with those that are kept"),
            None => write!(f, "at most {:.0}, and those that are kept", self.closed_after.high),
        }
    }
}
