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
use plimsoll_host::{HostFs, Started, monotonic_now};
use plimsoll_model::{
    Drawn, Finding, FindingId, Interval, NamespaceSnapshot, Program, ProtocolState, Remedy, Service, Side, Snapshot,
    TcpState, Timeout,
};
use plimsoll_proxies::{
    Advice, Bounded, Churn, CommandLine, Configuration, Files, Gap, Limits, NotTold, advise, configuration_of, envoy,
    haproxy, nginx, version_in,
};

use crate::whose::Bounds;

/// Services of one proxy that are asked about, those with the most connections first.
const MOST_SERVICES: usize = 16;

/// Puts before the remedies of each `reverse-proxy-churn` what to write into which line, where the programs that open the connections are
/// proxies whose configuration can be read; and why not, where it cannot.
///
/// It ends after `bounds.longest`, whatever their files hold.
pub fn advise_on_proxies(snapshot: &Snapshot, findings: &mut [Finding], bounds: Bounds) {
    let host = HostFs::new();
    let deadline = monotonic_now() + bounds.longest;
    let advising = Advising { host: &host, limits: bounds.configuration, is_late: &|| monotonic_now() >= deadline };
    for finding in findings.iter_mut().filter(|finding| finding.id == FindingId::ReverseProxyChurn) {
        let is_it = |ns: &&NamespaceSnapshot| Some(&ns.namespace.name) == finding.namespace.as_ref();
        let Some(ns) = snapshot.namespaces.iter().find(is_it) else { continue };
        let clients = finding.whose.iter().filter(|whose| whose.side == Side::Client);
        let told: Vec<Told> = clients.map(|whose| advising.on(ns, &whose.program)).collect();
        // Diagnosis' own first remedy says the same in general words.
        let instead = usize::from(told.iter().any(|told| matches!(told, Told::Lines(lines, _) if !lines.is_empty())));
        finding.remedies.splice(0..instead.min(finding.remedies.len()), told.into_iter().flat_map(Told::remedies));
    }
}

/// What a program's configuration tells.
enum Told {
    /// It is no proxy, or has ended.
    Nothing,
    /// It is one, and cannot be read.
    Unread(String),
    /// What to write, by upstream; and what was not understood, if anything.
    Lines(Vec<Advice>, Option<String>),
}

impl Told {
    fn remedies(self) -> Vec<Remedy> {
        let remedy = |action| Remedy { action, command: None };
        match self {
            Self::Nothing => Vec::new(),
            Self::Unread(why) => vec![remedy(why)],
            Self::Lines(lines, gaps) => lines.iter().map(ToString::to_string).chain(gaps).map(remedy).collect(),
        }
    }
}

struct Advising<'a> {
    host: &'a HostFs,
    limits: Limits,
    is_late: &'a dyn Fn() -> bool,
}

impl Advising<'_> {
    fn on(&self, ns: &NamespaceSnapshot, program: &Program) -> Told {
        let unread =
            |because: &dyn Display| Told::Unread(format!("What {program} is told could not be read: {because}."));
        let started = match self.host.started(program.owner.pid) {
            Ok(started) => started,
            Err(error) if error.is_absent() => return Told::Nothing,
            Err(error) => return unread(&error),
        };
        let configuration = match self.read(&started) {
            Ok(configuration) => configuration,
            Err(Unread::AnotherProgram) => return Told::Nothing,
            Err(Unread::Because(because)) => return unread(&because),
        };
        let gaps = not_understood(program, &configuration.gaps);
        let hosts = hosts(&started);
        let named = addresses_by_name(&hosts);
        let resolve = |name: &str| named.get(name.to_ascii_lowercase().as_str()).cloned().unwrap_or_default();
        let mut advice = advise(&[configuration], &churn_of(ns, program), &resolve);
        advice.retain(|advice| matches!(advice, Advice::Proxy(_)));
        Told::Lines(advice, gaps)
    }

    fn read(&self, started: &Started) -> Result<Configuration, Unread> {
        let seen = SeenBy(started);
        let mut files = Bounded::new(&seen, self.limits, self.is_late);
        let arguments: Vec<&str> = started.arguments.iter().map(String::as_str).collect();
        let running = configuration_of(CommandLine { arguments: &arguments, folder: &started.folder }, &mut files);
        let running = running.map_err(|error| match error {
            NotTold::AnotherProgram => Unread::AnotherProgram,
            other => Unread::Because(other.to_string()),
        })?;
        let paths = running.files.iter().map(std::path::PathBuf::as_path);
        let first = running.files.first().ok_or(Unread::AnotherProgram)?;
        // Defaults depend on it: NGINX's since 1.29.7, HAProxy's since 2.0.
        let version = started.program().ok().and_then(|file| version_in(running.program, file, self.is_late));
        match running.program {
            plimsoll_proxies::Program::Nginx => nginx::read(first, &mut files, version),
            plimsoll_proxies::Program::Haproxy => haproxy::read(paths, &mut files, version),
            plimsoll_proxies::Program::Envoy => envoy::read(first, &mut files),
        }
        .map_err(|error| Unread::Because(error.to_string()))
    }
}

/// The first gaps of a configuration: an upstream that is not found may be behind one of them.
fn not_understood(program: &Program, gaps: &[Gap]) -> Option<String> {
    const MOST: usize = 3;
    let mut text = format!("What {program} is told was not understood in all places:");
    for gap in gaps.iter().take(MOST) {
        text += &format!("\n  {gap}");
    }
    if let Some(more @ 1..) = gaps.len().checked_sub(MOST) {
        text += &format!("\n  and {more} more");
    }
    (!gaps.is_empty()).then_some(text)
}

#[derive(Debug)]
enum Unread {
    AnotherProgram,
    Because(String),
}

/// Files as a process sees them.
struct SeenBy<'a>(&'a Started);

impl Files for SeenBy<'_> {
    fn read(&self, file: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        self.0.read(file, at_most)
    }

    fn names(&self, folder: &Path, at_most: usize) -> io::Result<Vec<OsString>> {
        self.0.names(folder, at_most)
    }
}

/// Names are looked up in the process's own hosts file alone: asking a resolver would make a flow, on a host that may have no room for it.
fn hosts(started: &Started) -> String {
    const MOST_BYTES: usize = 256 << 10;
    let hosts = started.read(Path::new("/etc/hosts"), MOST_BYTES).unwrap_or_default();
    let mut hosts = String::from_utf8_lossy(&hosts).to_ascii_lowercase();
    if hosts.len() >= MOST_BYTES {
        // The last line may be cut, and its name another's beginning.
        hosts.truncate(hosts.rfind('\n').unwrap_or(0));
    }
    hosts
}

fn addresses_by_name(hosts: &str) -> HashMap<&str, Vec<IpAddr>> {
    let mut named = HashMap::<&str, Vec<IpAddr>>::new();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        for name in words {
            named.entry(name).or_default().push(address);
        }
    }
    named
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use plimsoll_model::Owner;

    use super::*;

    /// A process that says that it is nginx. It ends when dropped.
    struct Master(Child);

    impl Master {
        fn with(file: &Path) -> Self {
            let mut command = Command::new("cat");
            command.arg0(format!("nginx: master process nginx -c {}", file.display()));
            Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
        }
    }

    impl Drop for Master {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn what_is_not_understood_or_not_read_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nginx.conf");
        let pass = "proxy_pass http://$backend;\n".repeat(5);
        std::fs::write(&file, format!("http {{ server {{ location / {{\n{pass}}} }} }}\n")).unwrap();
        let master = Master::with(&file);
        let host = HostFs::new();
        let owner =
            Owner { pid: master.0.id(), command: "nginx".into(), unit: None, container: None, pod: None, called: None };
        let program = Program { owner, namespace: "host".into() };
        // While a program is being executed it has no arguments yet.
        let deadline = monotonic_now() + Duration::from_mins(1);
        let started = loop {
            match host.started(program.owner.pid) {
                Ok(started) if !started.arguments.is_empty() => break started,
                answer => assert!(monotonic_now() < deadline, "{answer:?}"),
            }
        };
        let mut advising = Advising { host: &host, limits: Limits::OFTEN, is_late: &|| false };
        let configuration = advising.read(&started).unwrap();
        let text = not_understood(&program, &configuration.gaps).unwrap();
        assert!(text.contains(&format!("{}:2: where http://$backend leads", file.display())), "{text}");
        assert!(text.ends_with("  and 2 more") && text.lines().count() == 5, "{text}");
        assert_eq!(not_understood(&program, &[]), None);
        advising.is_late = &|| true;
        let Err(Unread::Because(because)) = advising.read(&started) else { panic!("there was no time") };
        assert!(because.contains("the time that reading the configuration may take was over"), "{because}");
    }

    #[test]
    fn names_lead_to_all_their_addresses() {
        let named = addresses_by_name("127.0.0.1 localhost web # 10.0.0.9 no\nbad web\n::1 web\n");
        assert_eq!(named["web"], ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(named.len(), 2);
    }
}
