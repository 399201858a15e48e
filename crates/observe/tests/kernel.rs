//! Whose the entries are, on the real kernel: programs in three namespaces, one of them a router that translates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use plimsoll_lab::LabNamespace;
use plimsoll_model::{
    Census, Drawn, End, Ends, Layer4, NamespaceSnapshot, ProtocolState, Resolver, Service, SocketState, TcpState,
    Unseen,
};
use plimsoll_observe::{Asked, Bounds, Depth, Options, Target, ask_whose, observe};
use tempfile::TempDir;

/// Keeps what it accepts on port 8080, and never reads of it.
const LEAKY: &str = "
import socket
listener = socket.create_server(('', 8080), backlog=128)
print('ready', flush=True)
kept = []
while True: kept.append(listener.accept())
";

/// Answers on port 8081, and closes when it is asked no more.
const STEADY: &str = "
import socket, threading
def serve(it):
    while it.recv(9): it.send(b'a')
    it.close()
listener = socket.create_server(('', 8081), backlog=128)
print('ready', flush=True)
while True: threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()
";

/// Keeps sixty connections, and opens no more.
const POOLED: &str = "
import socket, time
kept = [socket.create_connection(('10.9.1.1', 81)) for _ in range(60)]
print('ready', flush=True)
time.sleep(600)
";

/// Thirty connections that it closes and the server does not, fifty that are over, twenty that are held; and then one short one after another.
const ASKER: &str = "
import socket, time
def ask(port):
    it = socket.create_connection(('10.9.1.1', port)); it.send(b'q')
    if port == 81: it.recv(9)
    return it
def end(it): it.shutdown(socket.SHUT_WR); it.recv(9); it.close()
for _ in range(30): ask(80).close()
for _ in range(50): end(ask(81))
held = [ask(81) for _ in range(20)]
print('ready', flush=True)
while True:
    it = ask(81); time.sleep(0.05); end(it)
";

/// Knows `api.example.com`, and no other name.
const NAMES: &str = "
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(('', 5300))
print('ready', flush=True)
while True:
    asked, by = server.recvfrom(512)
    end = asked.index(b'\\0', 12) + 5
    is_known = asked[12:end - 5] == b'\\x03api\\x07example\\x03com'
    is_a = asked[end - 4:end - 2] == b'\\0\\x01'
    answer = b'\\xc0\\x0c\\0\\x01\\0\\x01\\0\\0\\0\\x3c\\0\\x04\\xc0\\0\\x02\\x07' if is_known and is_a else b''
    flags = b'\\x84\\0' if is_known else b'\\x84\\x03'
    server.sendto(asked[:2] + flags + b'\\0\\x01' + (b'\\0\\x01' if answer else b'\\0\\0') + b'\\0\\0\\0\\0' + asked[12:end] + answer, by)
";

/// Looks a name up, and goes on having sockets to the server of names, one after another, by which it asks nothing more.
fn looks_up(name: &str) -> String {
    format!(
        "
import socket, time
assert socket.getaddrinfo('{name}', 80, type=socket.SOCK_STREAM)[0][4][0] == '192.0.2.7'
print('ready', flush=True)
while True:
    it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); it.connect(('10.9.1.1', 53)); time.sleep(0.05); it.close()
"
    )
}

/// As the kubelet writes it.
const OF_A_POD: &str =
    "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.9.1.1\noptions ndots:5\n";

/// Three namespaces in a row, the middle one tracking and translating, and a program in each of the others.
struct Row {
    router: LabNamespace,
    client: LabNamespace,
    server: LabNamespace,
    programs: Vec<Child>,
    folder: TempDir,
}

impl Row {
    fn new() -> Self {
        let [router, client, server] =
            [LabNamespace::tracking(), LabNamespace::create(), LabNamespace::create()].map(|made| made.unwrap());
        router.set("net/ipv4/ip_forward", 1).unwrap();
        for (lab, net) in [(&client, 1), (&server, 2)] {
            let ip = |lab: &LabNamespace, arguments: String| {
                lab.run(&["ip"].into_iter().chain(arguments.split(' ')).collect::<Vec<_>>()).unwrap();
            };
            ip(&router, format!("link add v{net} type veth peer name e0 netns {}", lab.name()));
            ip(&router, format!("addr add 10.9.{net}.1/24 dev v{net}"));
            ip(&router, format!("link set v{net} up"));
            ip(lab, format!("addr add 10.9.{net}.2/24 dev e0"));
            ip(lab, "link set e0 up".to_string());
            ip(lab, format!("route add default via 10.9.{net}.1"));
        }
        router
            .nft(
                "table ip t {\n\
                   chain pre { type nat hook prerouting priority -100\n\
                     tcp dport 80 dnat to 10.9.2.2:8080\n\
                     tcp dport 81 dnat to 10.9.2.2:8081\n\
                   udp dport 53 dnat to 10.9.2.2:5300\n\
                   }\n\
                 }\n",
            )
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { router, client, server, programs: Vec::new(), folder }
    }

    /// Starts a program under a name of its own and waits until it says that it is ready.
    fn start(&mut self, name: &str, program: &str, inside: fn(&Self) -> &LabNamespace) {
        let path = self.folder.path().join(name);
        symlink("/usr/bin/python3", &path).unwrap();
        let resolv_conf = self.folder.path().join("resolv.conf");
        fs::write(&resolv_conf, OF_A_POD).unwrap();
        // What is mounted is seen by the program alone.
        let mounted = format!("mount --bind {} /etc/resolv.conf && exec \"$@\"", resolv_conf.display());
        let mut child = Command::new("ip")
            .args(["netns", "exec", inside(self).name(), "unshare", "--mount", "sh", "-euc", &mounted, "sh"])
            .arg(&path)
            .args(["-c", program])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        self.programs.push(child);
        assert_eq!(said, "ready\n", "{name}");
    }

    /// What it reads once that is so. A server's kernel may acknowledge a FIN 40 milliseconds late (`TCP_DELACK_MIN`).
    fn read_when(&self, is_so: impl Fn(&Census) -> bool) -> (NamespaceSnapshot, Vec<Unseen>) {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            let (ns, unseen) = self.read();
            if ns.census.as_ref().is_some_and(&is_so) {
                return (ns, unseen);
            }
            assert!(Instant::now() < until, "{ns:#?}");
        }
    }

    /// The router's table, with whose its entries are, and what of that could not be read.
    fn read(&self) -> (NamespaceSnapshot, Vec<Unseen>) {
        let options = Options {
            target: Target::Named(self.router.name().to_string()),
            interval: Duration::ZERO,
            depth: Depth::Exact,
            timeout: Duration::from_secs(30),
        };
        let mut snapshot = observe(&options, &mut |_| {}).unwrap();
        let bounds = Bounds { longest: Duration::from_secs(30), ..Bounds::ONCE };
        assert_eq!(ask_whose(&mut snapshot, bounds, |_| false), Asked::None);
        assert_eq!(ask_whose(&mut snapshot, bounds, |_| true), Asked::Some);
        (snapshot.namespaces.remove(0), snapshot.unseen)
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        for program in &mut self.programs {
            program.kill().ok();
            program.wait().ok();
        }
    }
}

/// The ends of the entries of a service in a state.
fn ends(census: &Census, port: u16, state: TcpState) -> Vec<Ends> {
    let is_meant = |drawn: &&Drawn| {
        let goes_there =
            matches!(drawn.entry.original.layer4, Layer4::Ports { destination, .. } if destination == port);
        goes_there && drawn.entry.state == ProtocolState::Tcp(state)
    };
    census.drawn.iter().filter(is_meant).map(|drawn| drawn.ends.expect("was asked")).collect()
}

#[test]
fn programs_at_both_ends_of_translated_flows_are_named_with_their_sockets_states() {
    let mut row = Row::new();
    row.start("leaky", LEAKY, |row| &row.server);
    row.start("steady", STEADY, |row| &row.server);
    row.start("pooled", POOLED, |row| &row.client);
    row.start("asker", ASKER, |row| &row.client);
    let (ns, unseen) = row.read_when(|census| ends(census, 80, TcpState::CloseWait).len() == 30);
    let census = ns.census.unwrap();
    let name = |end: End| end.by().map(|id| census.program(id).unwrap().clone());
    let is = |end: End, command: &str, lab: &LabNamespace| {
        name(end).is_some_and(|by| by.owner.command.as_str() == command && by.namespace.as_str() == lab.name())
    };

    let leaked = ends(&census, 80, TcpState::CloseWait);
    assert_eq!(leaked.len(), 30);
    for ends in &leaked {
        assert_eq!(ends.server.state(), Some(SocketState::CloseWait), "the leak is there");
        assert!(is(ends.server, "leaky", &row.server), "{:?}", name(ends.server));
        assert_eq!(ends.client.state(), Some(SocketState::FinWait2), "and not here");
    }
    let held = ends(&census, 81, TcpState::Established);
    // But for one that may have ended since the table was read.
    let held: Vec<_> = held.iter().filter(|ends| ends.client.state() == Some(SocketState::Established)).collect();
    assert!(held.iter().all(|ends| is(ends.server, "steady", &row.server)), "{held:?}");
    assert_eq!(held.iter().filter(|ends| is(ends.client, "pooled", &row.client)).count(), 60);
    assert!(held.iter().filter(|ends| is(ends.client, "asker", &row.client)).count() >= 20, "{held:?}");
    let over = ends(&census, 81, TcpState::TimeWait);
    assert!(over.len() >= 50);
    for ends in &over {
        assert!(ends.client.by().is_none() || is(ends.client, "asker", &row.client), "not who keeps others: {ends:?}");
        assert!(is(ends.server, "steady", &row.server), "by who listens there: {ends:?}");
    }
    assert!(over.iter().any(|ends| is(ends.client, "asker", &row.client)), "it was met: {over:?}");
    assert!(unseen.iter().all(|gap| gap.reading != plimsoll_model::Reading::Programs), "{unseen:#?}");

    // Nobody opens connections any more.
    let mut asker = row.programs.pop().unwrap();
    asker.kill().unwrap();
    asker.wait().unwrap();
    let census = row.read().0.census.unwrap();
    let over = ends(&census, 81, TcpState::TimeWait);
    assert!(over.len() >= 50);
    for ends in &over {
        let keeper = ends.client.keeper().map(|id| census.program(id).unwrap().owner.command.as_str());
        assert_eq!((ends.client.by(), keeper), (None, Some("pooled")), "{ends:?}");
    }
}

#[test]
fn a_name_that_is_searched_for_takes_an_entry_for_each_domain() {
    let mut row = Row::new();
    row.start("names", NAMES, |row| &row.server);
    let look_ups = |row: &Row| {
        let (ns, unseen) = row.read();
        let drawn = ns.census.as_ref().unwrap().drawn.iter();
        let count = drawn.filter(|drawn| drawn.entry.original.service().is_some_and(Service::is_dns)).count();
        assert!(unseen.iter().all(|gap| gap.reading != plimsoll_model::Reading::Programs), "{unseen:#?}");
        (count, ns)
    };
    row.start("searches", &looks_up("api.example.com"), |row| &row.client);
    let (count, ns) = look_ups(&row);
    let told = Resolver { ndots: 5, search: 3 };
    assert_eq!(count, usize::try_from(told.names_asked()).unwrap(), "{ns:#?}");
    let resolvers = &ns.surroundings.as_ref().unwrap().resolvers;
    let named = resolvers.iter().map(|(by, told)| (ns.census.as_ref().unwrap().program(*by).unwrap(), *told));
    let named: Vec<_> = named.map(|(by, told)| (by.owner.command.as_str(), told)).collect();
    assert_eq!(named, [("searches", told)]);

    row.start("does-not", &looks_up("api.example.com."), |row| &row.client);
    assert_eq!(look_ups(&row).0, count + 1);
}
