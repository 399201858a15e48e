//! From `reverse-proxy-churn` to the line of the proxy's configuration.
//!
//! It is asked after whose the entries are: the finding names the processes. Their files are read as they see them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use plimsoll_churn::flow;
use plimsoll_host::{HostFs, Started};
use plimsoll_model::{
    Drawn, Finding, FindingId, Interval, NamespaceSnapshot, Program, ProtocolState, Remedy, Service, Side, Snapshot,
    TcpState, Timeout,
};
use plimsoll_proxies::{
    Advice, Churn, CommandLine, Configuration, Files, NotTold, advise, configuration_of, envoy, haproxy, nginx,
};

/// Services of one proxy that are asked about, those with the most connections first.
const MOST_SERVICES: usize = 16;

/// Puts before the remedies of each `reverse-proxy-churn` what to write into which line, where the programs that open the connections are
/// proxies whose configuration can be read; and why not, where it cannot.
pub fn advise_on_proxies(snapshot: &Snapshot, findings: &mut [Finding]) {
    let host = HostFs::new();
    for finding in findings.iter_mut().filter(|finding| finding.id == FindingId::ReverseProxyChurn) {
        let is_it = |ns: &&NamespaceSnapshot| Some(&ns.namespace.name) == finding.namespace.as_ref();
        let Some(ns) = snapshot.namespaces.iter().find(is_it) else { continue };
        let clients = finding.whose.iter().filter(|whose| whose.side == Side::Client);
        let told: Vec<Told> = clients.map(|whose| of_program(&host, ns, &whose.program)).collect();
        // Diagnosis' own first remedy says the same in general words.
        let instead = usize::from(told.iter().any(|told| matches!(told, Told::Lines(lines) if !lines.is_empty())));
        finding.remedies.splice(0..instead.min(finding.remedies.len()), told.into_iter().flat_map(Told::remedies));
    }
}

/// What a program's configuration tells.
enum Told {
    /// It is no proxy, or has ended.
    Nothing,
    /// It is one, and cannot be read.
    Unread(String),
    /// What to write, by upstream.
    Lines(Vec<Advice>),
}

impl Told {
    fn remedies(self) -> Vec<Remedy> {
        let remedy = |action| Remedy { action, command: None };
        match self {
            Self::Nothing => Vec::new(),
            Self::Unread(why) => vec![remedy(why)],
            Self::Lines(lines) => lines.iter().map(|advice| remedy(advice.to_string())).collect(),
        }
    }
}

fn of_program(host: &HostFs, ns: &NamespaceSnapshot, program: &Program) -> Told {
    let unread = |because: &dyn Display| Told::Unread(format!("What {program} is told could not be read: {because}."));
    let started = match host.started(program.owner.pid) {
        Ok(started) => started,
        Err(error) if error.is_absent() => return Told::Nothing,
        Err(error) => return unread(&error),
    };
    let configuration = match read(&started) {
        Ok(configuration) => configuration,
        Err(Unread::AnotherProgram) => return Told::Nothing,
        Err(Unread::Because(because)) => return unread(&because),
    };
    let resolve = |name: &str| addresses_in_hosts(&started, name);
    let mut advice = advise(&[configuration], &churn_of(ns, program), &resolve);
    advice.retain(|advice| matches!(advice, Advice::Proxy(_)));
    Told::Lines(advice)
}

enum Unread {
    AnotherProgram,
    Because(String),
}

fn read(started: &Started) -> Result<Configuration, Unread> {
    let files = SeenBy(started);
    let arguments: Vec<&str> = started.arguments.iter().map(String::as_str).collect();
    let running = configuration_of(CommandLine { arguments: &arguments, folder: &started.folder }, &files);
    let running = running.map_err(|error| match error {
        NotTold::AnotherProgram => Unread::AnotherProgram,
        other => Unread::Because(other.to_string()),
    })?;
    let paths = running.files.iter().map(std::path::PathBuf::as_path);
    let first = running.files.first().ok_or(Unread::AnotherProgram)?;
    match running.program {
        plimsoll_proxies::Program::Nginx => nginx::read(first, &files, None),
        plimsoll_proxies::Program::Haproxy => haproxy::read(paths, &files, None),
        plimsoll_proxies::Program::Envoy => envoy::read(first, &files),
    }
    .map_err(|error| Unread::Because(error.to_string()))
}

/// Files as a process sees them.
struct SeenBy<'a>(&'a Started);

impl Files for SeenBy<'_> {
    fn read(&self, file: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        self.0.read(file, at_most)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.0.names(folder)
    }
}

/// Names are looked up in the process's own hosts file alone: asking a resolver would make a flow, on a host that may have no room for it.
fn addresses_in_hosts(started: &Started, name: &str) -> Vec<IpAddr> {
    const MOST_BYTES: usize = 1 << 20;
    let hosts = started.read(Path::new("/etc/hosts"), MOST_BYTES).unwrap_or_default();
    let hosts = String::from_utf8_lossy(&hosts);
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let named = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    });
    named.collect()
}

/// The connections that a program opens and closes, by where they go.
fn churn_of(ns: &NamespaceSnapshot, program: &Program) -> Vec<Churn> {
    let Some(census) = ns.census.as_ref() else { return Vec::new() };
    let Some(time_wait_secs) = ns.timeouts.get_secs(Timeout::Tcp(TcpState::TimeWait)) else { return Vec::new() };
    let is_its = |drawn: &Drawn| {
        let by = drawn.ends.and_then(|ends| census.program(ends.client.by()?));
        by == Some(program) && is_over(drawn)
    };
    let mut services = HashMap::<Service, usize>::new();
    for drawn in census.drawn.iter().filter(|drawn| is_its(drawn)) {
        if let Some(service) = drawn.entry.original.service() {
            *services.entry(service).or_default() += 1;
        }
    }
    let mut services: Vec<_> = services.into_iter().collect();
    services.sort_by_key(|(service, seen)| (std::cmp::Reverse(*seen), *service));
    let rate = |service| -> Option<Interval> {
        // Not only those that were asked about: the rate is the service's.
        flow(ns, &|drawn| is_over(drawn) && drawn.entry.original.service() == Some(service))?.per_sec
    };
    let churn = services
        .into_iter()
        .take(MOST_SERVICES)
        .filter_map(|(towards, _)| Some(Churn { towards, new_per_sec: rate(towards)?, time_wait_secs }));
    churn.collect()
}

fn is_over(drawn: &Drawn) -> bool {
    matches!(drawn.entry.state, ProtocolState::Tcp(TcpState::TimeWait | TcpState::LastAck | TcpState::Close))
}
