//! `plimsoll record --anonymize`: no address of the traffic is in the files, and networks stay together. Needs root, `ip` and
//! `nft`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use plimsoll_archive::Archive;
use plimsoll_lab::{ByHand, Side};
use plimsoll_model::{Layer4, Tuple};
use plimsoll_recording::GapEnd;
use support::packets::{ACK, Connection, PSH, SYN};
use support::plimsoll;
use support::recording::{Folder, Recorder, Rows, files};

/// Clients, near each other and far.
const CLIENTS: [&str; 6] = ["10.1.2.3", "10.1.2.4", "10.1.7.1", "10.200.0.1", "2001:db8:1::7", "2001:db8:1:2::7"];
/// Their servers; the last is what a translation puts in place of the second.
const SERVERS: [&str; 4] = ["192.0.2.10", "203.0.113.1", "2001:db8:2::1", "198.51.100.7"];

const RULES: &str = "table ip nat { chain to { type nat hook prerouting priority -100; \
    ip daddr 203.0.113.1 tcp dport 443 dnat to 198.51.100.7; }; }\n";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Two connections of each client, each from a port of its own.
fn flows() -> Vec<Connection> {
    let to = |client: IpAddr| {
        SERVERS.into_iter().take(3).map(address).filter(move |server| server.is_ipv4() == client.is_ipv4())
    };
    let pairs = CLIENTS.into_iter().map(address).flat_map(|client| to(client).map(move |server| (client, server)));
    let ports = 30_000..;
    pairs
        .zip(ports)
        .map(|((client, server), port)| {
            Connection::between(SocketAddr::new(client, port), SocketAddr::new(server, 443))
        })
        .collect()
}

fn source_port(tuple: &Tuple) -> u16 {
    match tuple.layer4 {
        Layer4::Ports { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

/// Each address of the traffic, and what stands for it.
type Hidden = BTreeMap<IpAddr, IpAddr>;

/// Records flows that open, are silent for more than two seconds and then talk.
fn record(folder: &Folder, name: &str, more: &[&str]) -> (String, Hidden) {
    let router = ByHand::build().unwrap();
    router.namespace().nft(RULES).unwrap();
    let to = folder.of(name);
    let more: Vec<&str> = ["--look-every", "1s", "--anonymize"].iter().chain(more).copied().collect();
    let recorder = Recorder::listening(router.namespace(), &to, &more);
    let mut flows = flows();
    for flow in &mut flows {
        // Behind the translation the server is another; the router knows it by its answer's addresses.
        let server = flow.server;
        flow.send(&router, Side::Client, SYN, 0);
        if server.ip() == address("203.0.113.1") {
            flow.server.set_ip(address("198.51.100.7"));
        }
        flow.send(&router, Side::Server, SYN | ACK, 0);
        flow.server = server;
        flow.send(&router, Side::Client, ACK, 0);
    }
    // Silences of more than two looks: what is awaited is that time passes.
    thread::sleep(Duration::from_millis(3500));
    for flow in &mut flows {
        flow.send(&router, Side::Client, PSH | ACK, 100);
    }
    thread::sleep(Duration::from_millis(2500));
    let run = recorder.interrupt();
    assert_eq!(run.code, 0, "{run:?}");
    let real: BTreeMap<u16, Connection> = flows.iter().map(|flow| (flow.client.port(), *flow)).collect();
    let hidden = hold(&to, &real);
    (to, hidden)
}

/// Holds a recording against what was sent.
fn hold(to: &str, real: &BTreeMap<u16, Connection>) -> Hidden {
    let rows = Rows::of(to);
    assert_eq!(rows.lives.len(), real.len());
    let mut hidden = Hidden::new();
    let mut note = |real: IpAddr, seen: IpAddr| {
        assert_eq!(real.is_ipv4(), seen.is_ipv4());
        assert_eq!(*hidden.entry(real).or_insert(seen), seen, "{real} is one and the same everywhere");
    };
    let mut clients = BTreeMap::new();
    for life in &rows.lives {
        let flow = real[&source_port(&life.original)];
        note(flow.client.ip(), life.original.source);
        note(flow.server.ip(), life.original.destination);
        note(flow.client.ip(), life.reply.destination);
        let is_translated = flow.server.ip() == address("203.0.113.1");
        note(if is_translated { address("198.51.100.7") } else { flow.server.ip() }, life.reply.source);
        assert!(clients.insert(life.key, (life.original.source, life.original.destination)).is_none());
    }
    assert_eq!(hidden.len(), CLIENTS.len() + SERVERS.len());
    assert_eq!(hidden.values().collect::<BTreeSet<_>>().len(), hidden.len());

    let talked = rows.gaps.iter().filter(|gap| gap.end == GapEnd::Packet).count();
    assert!(talked >= real.len(), "{talked} silences ended by a packet");
    for gap in &rows.gaps {
        assert_eq!(clients.get(&gap.key), Some(&(gap.client, gap.server)), "{gap:#?}");
    }

    // As text, in any row; and as they are kept, in any file.
    let text = format!("{:?} {:?} {:?}", rows.lives, rows.gaps, rows.changes);
    let bytes: Vec<u8> = files(to).iter().flat_map(|file| fs::read(file).unwrap()).collect();
    let is_in = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    for real in hidden.keys() {
        assert!(
            !hidden.values().any(|hidden| hidden == real),
            "{real} stands for another, which a reader may take for it"
        );
        assert!(!text.contains(&real.to_string()) && !is_in(real.to_string().as_bytes()), "{real}");
        match real {
            IpAddr::V4(real) => assert!(!is_in(&real.octets()), "{real}"),
            IpAddr::V6(real) => assert!(!is_in(&real.octets()), "{real}"),
        }
    }
    let archive = Archive::open(to.as_ref()).unwrap();
    assert!(archive.origins().iter().all(|origin| origin.host.is_none()), "{:#?}", archive.origins());
    hidden
}

fn in_common(one: IpAddr, other: IpAddr) -> Option<u32> {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => Some((one.to_bits() ^ other.to_bits()).leading_zeros()),
        (IpAddr::V6(one), IpAddr::V6(other)) => Some((one.to_bits() ^ other.to_bits()).leading_zeros()),
        _ => None,
    }
}

#[test]
fn no_address_is_in_the_files_and_the_key_decides_what_is() {
    let folder = Folder::new();
    let key = folder.of("key");
    fs::write(&key, "sixteen bytes are enough").unwrap();
    let with_key = ["--anonymize-key", &key];
    let (one, two, three) = thread::scope(|scope| {
        let one = scope.spawn(|| record(&folder, "one.rec", &with_key).1);
        let two = scope.spawn(|| record(&folder, "two.rec", &with_key).1);
        let three = record(&folder, "three.rec", &[]).1;
        (one.join().unwrap(), two.join().unwrap(), three)
    });
    for (real, hidden) in &one {
        for (other, other_hidden) in &one {
            assert_eq!(in_common(*real, *other), in_common(*hidden, *other_hidden), "{real} and {other}");
        }
    }
    assert_eq!(one, two, "of the same key");
    let same = one.iter().filter(|(real, hidden)| three[*real] == **hidden).count();
    assert_eq!(same, 0, "of another");
}

#[test]
fn a_key_that_could_be_guessed_is_refused_in_words() {
    let folder = Folder::new();
    let (key, to) = (folder.of("key"), folder.of("web.rec"));
    fs::write(&key, "fifteen bytes..").unwrap();
    let run = plimsoll(&["record", "--to", &to, "--anonymize", "--anonymize-key", &key]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    for said in [key.as_str(), "has 15 bytes, and a key has 16 at least", "head -c 16 /dev/urandom"] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    let run = plimsoll(&["record", "--to", &to, "--anonymize", "--anonymize-key", &folder.of("nothing")]);
    assert!(run.code == 3 && run.stderr.contains("No such file"), "{run:?}");
    assert!(!folder.path().join("web.rec").exists());
}
