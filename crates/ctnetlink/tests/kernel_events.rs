//! Events of the running kernel, in namespaces of the tests' own: needs root, `ip`, `nft` and `conntrack`, and fails without.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests, too, fail by panicking")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use plimsoll_ctnetlink::{
    Change, Changer, Dump, EntryKey, EventKind, Listener, ProtocolState, Received, SampleShare, Status, TcpState,
    Unknowns,
};
use plimsoll_lab::{Kind, LabNamespace, entries};
use rustix::thread::set_thread_res_uid;

/// An event takes about 1,300 bytes of it, whatever its own size.
const BUFFER_BYTES: usize = 16 << 20;
/// Longer than any event takes; nobody waits so long unless the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// An event with what is compared of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    kind: EventKind,
    id: u32,
    protocol: u8,
    state: ProtocolState,
    status: Status,
    remaining_secs: Option<u32>,
    mark: u32,
    is_asked_for: bool,
}

/// What comes until it is enough; panics when something is lost, or when it takes too long.
fn hear(listener: &mut Listener, is_enough: impl Fn(&[Heard]) -> bool) -> Vec<Heard> {
    let (mut heard, mut unknowns) = (Vec::new(), Unknowns::default());
    let begin = Instant::now();
    while !is_enough(&heard) {
        assert!(begin.elapsed() < PATIENCE, "only {heard:?}");
        match listener.receive(Duration::from_millis(100)).unwrap() {
            Received::Events(batch) => heard.extend(batch.events(&mut unknowns).map(|event| {
                let event = event.unwrap();
                let entry = event.entry.entry;
                Heard {
                    kind: event.kind,
                    id: entry.id,
                    protocol: entry.original.protocol.0,
                    state: entry.state,
                    status: entry.status,
                    remaining_secs: entry.remaining_secs,
                    mark: entry.mark,
                    is_asked_for: event.asked_by.is_some(),
                }
            })),
            Received::Lost => panic!("lost"),
            // A dump frees what has expired.
            Received::Nothing => drop(keys()),
        }
    }
    heard
}

fn ended(heard: &[Heard]) -> usize {
    heard.iter().filter(|heard| heard.kind == EventKind::Destroy).count()
}

/// What is there at once, and how many messages were found to be lost.
fn drain(listener: &mut Listener) -> (usize, usize) {
    let (mut datagrams, mut losses) = (0, 0);
    loop {
        match listener.receive(Duration::ZERO).unwrap() {
            Received::Events(batch) => datagrams += batch.datagram_count(),
            Received::Lost => losses += 1,
            Received::Nothing => return (datagrams, losses),
        }
    }
}

/// Of all entries in the calling thread's namespace.
fn keys() -> Vec<EntryKey> {
    let (mut keys, mut unknowns) = (Vec::new(), Unknowns::default());
    let mut dump = Dump::start().unwrap();
    while let Some(batch) = dump.next_batch().unwrap() {
        keys.extend(batch.entries(&mut unknowns).map(|dumped| dumped.unwrap().key()));
    }
    keys
}

fn delete_all() {
    assert_eq!(Changer::open().unwrap().make(Change::Delete, &keys()).unwrap(), []);
}

fn fill(count: u32) {
    assert_eq!(plimsoll_ctnetlink::create(entries(Kind::UdpUnreplied, 0, count)).unwrap(), u64::from(count));
}

#[test]
fn a_connection_is_told_from_syn_to_its_end() {
    let namespace = LabNamespace::tracking().unwrap();
    namespace.set("net/netfilter/nf_conntrack_tcp_timeout_time_wait", 1).unwrap();
    let heard = namespace.enter(|| {
        let mut listener = Listener::subscribe(BUFFER_BYTES).unwrap();
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        drop(client);
        assert_eq!(accepted.read(&mut [0]).unwrap(), 0);
        drop(accepted);
        hear(&mut listener, |heard| ended(heard) == 1)
    });
    let heard = heard.unwrap();
    let told: Vec<_> = heard.iter().map(|heard| (heard.kind, heard.state)).collect();
    let update = |state| (EventKind::Update, ProtocolState::Tcp(state));
    assert_eq!(
        told,
        [
            (EventKind::New, ProtocolState::Tcp(TcpState::SynSent)),
            update(TcpState::SynRecv),
            update(TcpState::Established),
            update(TcpState::FinWait),
            update(TcpState::LastAck),
            update(TcpState::TimeWait),
            (EventKind::Destroy, ProtocolState::Tcp(TcpState::TimeWait)),
        ]
    );
    assert!(
        heard.iter().all(|event| event.id == heard[0].id && event.protocol == 6 && !event.is_asked_for),
        "{heard:?}"
    );
    let [.., last] = heard[..] else { panic!() };
    assert!(last.status.has(Status::DYING) && last.status.has(Status::ASSURED));
    assert_eq!(last.remaining_secs, None, "its time was over");
}

/// `IPCT_PROTOINFO` alone brings the state along, and what a process changes is told whole.
#[test]
fn an_update_tells_the_state_where_that_changed_or_a_process_asked() {
    let namespace = LabNamespace::tracking().unwrap();
    namespace
        .nft(
            "table inet marks { chain out { type filter hook output priority 0; \
             tcp dport 8080 meta length > 200 ct mark set 7; }; }\n",
        )
        .unwrap();
    let heard = namespace.enter(|| {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 8080)).unwrap();
        let mut listener = Listener::subscribe(BUFFER_BYTES).unwrap();
        let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        drop(hear(&mut listener, |heard| heard.len() == 3));
        client.write_all(&[b'x'; 300]).unwrap();
        let mut heard = hear(&mut listener, |heard| heard.len() == 1);
        let changed = Changer::open().unwrap().make(Change::Expire { after_secs: 1000 }, &keys()).unwrap();
        assert_eq!(changed, []);
        heard.extend(hear(&mut listener, |heard| heard.len() == 1));
        delete_all();
        heard.extend(hear(&mut listener, |heard| heard.len() == 1));
        heard
    });
    let heard = heard.unwrap();
    assert!(heard.iter().all(|heard| heard.mark == 7), "the mark is told with each: {heard:?}");
    let told: Vec<_> = heard.iter().map(|heard| (heard.kind, heard.state, heard.is_asked_for)).collect();
    let established = ProtocolState::Tcp(TcpState::Established);
    let update = |state, is_asked_for| (EventKind::Update, state, is_asked_for);
    let destroyed = (EventKind::Destroy, established, true);
    assert_eq!(told, [update(ProtocolState::None, false), update(established, true), destroyed]);
}

/// What is left of its time tells an entry that was ended from one that expired (`ctnetlink_dump_timeout`).
#[test]
fn an_end_before_its_time_shows_what_was_left_and_who_asked_for_it() {
    let namespace = LabNamespace::tracking().unwrap();
    let timeout = |secs| namespace.set("net/netfilter/nf_conntrack_udp_timeout", secs).unwrap();
    let mut listener = namespace.enter(|| Listener::subscribe(BUFFER_BYTES)).unwrap().unwrap();
    timeout(1);
    namespace.send_udp(7001..=7002).unwrap();
    let expired = namespace.enter(|| hear(&mut listener, |heard| ended(heard) == 2)).unwrap();
    timeout(1000);
    namespace.send_udp(7001..=7002).unwrap();
    namespace.run(&["conntrack", "-D", "-p", "udp"]).unwrap();
    let deleted = namespace.enter(|| hear(&mut listener, |heard| ended(heard) == 2)).unwrap();

    for heard in expired.iter().filter(|heard| heard.kind == EventKind::Destroy) {
        assert_eq!((heard.remaining_secs, heard.is_asked_for), (None, false));
    }
    for heard in deleted.iter().filter(|heard| heard.kind == EventKind::Destroy) {
        assert!(heard.remaining_secs.is_some_and(|secs| secs > 900) && heard.is_asked_for, "{heard:?}");
    }
    assert!(expired.iter().chain(&deleted).all(|heard| heard.kind == EventKind::Destroy || !heard.is_asked_for));
}

/// A listener may move to another thread, and hears on; another namespace's entries it does not hear.
#[test]
fn only_the_namespace_that_was_subscribed_in_is_heard() {
    let [heard, other] = [LabNamespace::create().unwrap(), LabNamespace::create().unwrap()];
    let mut listener = heard.enter(|| Listener::subscribe(BUFFER_BYTES)).unwrap().unwrap();
    other.enter(|| fill(100)).unwrap();
    heard.enter(|| fill(10)).unwrap();
    assert_eq!(drain(&mut listener), (10, 0));
    assert_eq!(heard.enter(|| listener.dropped()).unwrap().unwrap(), Some(0));
    assert_eq!(other.enter(|| listener.dropped()).unwrap().unwrap(), None, "it is not listed there");
    // The socket keeps the namespace; nobody is left to make entries.
    drop(heard);
    assert_eq!(drain(&mut listener), (0, 0));
    assert!(matches!(listener.receive(Duration::from_millis(10)).unwrap(), Received::Nothing));
}

/// From the first message that does not fit on the kernel drops all, though there were room again, until the queue is empty
/// (`NETLINK_S_CONGESTED`, which `netlink_rcv_wake` clears).
#[test]
fn what_does_not_fit_is_lost_and_told_once_until_all_is_read() {
    let namespace = LabNamespace::create().unwrap();
    let lost_of = |listener: &Listener| listener.dropped().unwrap().unwrap();
    namespace
        .enter(|| {
            let mut listener = Listener::subscribe(64 << 10).unwrap();
            assert_eq!(listener.buffer_bytes(), 128 << 10);
            fill(2000);
            let lost = lost_of(&listener);
            assert!((1..2000).contains(&lost), "{lost}");
            // The loss is told before that which came before it.
            assert!(matches!(listener.receive(Duration::ZERO).unwrap(), Received::Lost));
            let Received::Events(batch) = listener.receive(Duration::ZERO).unwrap() else { panic!("events") };
            let before = batch.datagram_count();
            delete_all();
            assert_eq!(lost_of(&listener), lost + 2000, "half of the queue was free");
            let (rest, losses) = drain(&mut listener);
            assert_eq!((before + rest, losses), (2000 - usize::try_from(lost).unwrap(), 0));
            fill(50);
            assert_eq!(drain(&mut listener), (50, 0), "it hears again");
            assert_eq!(lost_of(&listener), lost + 2000);
        })
        .unwrap();
}

/// 1,024 bytes for the message, whatever its length, and 256 for `struct sk_buff`: so much is accounted.
#[test]
fn an_event_takes_1280_bytes_of_the_buffer() {
    let namespace = LabNamespace::create().unwrap();
    for accounting in [0, 1] {
        namespace.set("net/netfilter/nf_conntrack_acct", accounting).unwrap();
        namespace.set("net/netfilter/nf_conntrack_timestamp", accounting).unwrap();
        for kind in [Kind::UdpUnreplied, Kind::Ipv6] {
            let act = || {
                let mut listener = Listener::subscribe(64 << 10).unwrap();
                plimsoll_ctnetlink::create(entries(kind, 0, 500)).unwrap();
                let made = drain(&mut listener);
                delete_all();
                (made, drain(&mut listener), listener.buffer_bytes())
            };
            let (made, deleted, buffer_bytes) = namespace.enter(act).unwrap();
            // The last that is let in may reach beyond the end, and older kernels look only whether there is room left.
            for (datagrams, losses) in [made, deleted] {
                assert_eq!(losses, 1);
                let each = buffer_bytes / datagrams;
                assert!((1270..=1290).contains(&each), "{each} bytes, with accounting {accounting}");
            }
        }
    }
}

/// `SO_RCVBUFFORCE` takes the right in the first user namespace, listening in that of the network namespace.
#[test]
fn the_root_of_a_user_namespace_listens_with_the_buffer_that_all_may_have() {
    const INSIDE: &str = "PLIMSOLL_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_none() {
        let this = std::env::current_exe().unwrap();
        let name = "the_root_of_a_user_namespace_listens_with_the_buffer_that_all_may_have";
        let mut inside = Command::new("unshare");
        inside.args(["--map-root-user", "--net"]).arg(this).args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
        let output = inside.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let listener = Listener::subscribe(1 << 30).unwrap();
    // No namespace but the first shows the limit, which holds in all; the stock one is 212,992 bytes.
    let granted = listener.buffer_bytes();
    assert!((2048..1 << 30).contains(&granted), "{granted}");
    assert_eq!(listener.dropped().unwrap(), Some(0));
}

#[test]
fn a_sample_keeps_whole_lives_of_about_its_share() {
    let namespace = LabNamespace::create().unwrap();
    namespace
        .enter(|| {
            let shares = [1, 3, 5].map(|times| SampleShare::halved(times).unwrap());
            let mut everything = Listener::subscribe(BUFFER_BYTES).unwrap();
            let mut sampled = shares.map(|share| {
                let listener = Listener::subscribe(BUFFER_BYTES).unwrap();
                listener.sample(share).unwrap();
                (share, listener)
            });
            fill(8000);
            delete_all();
            let heard = hear(&mut everything, |heard| ended(heard) == 8000);
            for (share, listener) in &mut sampled {
                let expected: Vec<_> = heard.iter().copied().filter(|heard| share.keeps(heard.id)).collect();
                assert_eq!(hear(listener, |heard| ended(heard) == ended(&expected)), expected);
                assert_eq!(listener.dropped().unwrap(), Some(0), "what is left out is not lost");
                assert_eq!(drain(listener), (0, 0));
                // Within five standard deviations of a binomial.
                let (count, mean) = (ended(&expected) as f64, 8000.0 * share.fraction());
                assert!((count - mean).abs() < 5.0 * (mean * (1.0 - share.fraction())).sqrt(), "{count} of {mean}");
                let mut of_each: HashMap<u32, [usize; 2]> = HashMap::new();
                for heard in expected {
                    of_each.entry(heard.id).or_default()[usize::from(heard.kind == EventKind::Destroy)] += 1;
                }
                assert!(of_each.values().all(|[new, end]| new == end));
            }
            // Another share takes the place of the one before, and all is all.
            let (_, listener) = &mut sampled[2];
            listener.sample(SampleShare::ALL).unwrap();
            fill(100);
            assert_eq!(drain(listener), (100, 0));
            listener.sample(SampleShare::LEAST).unwrap();
            delete_all();
            assert!(drain(listener).0 <= 3);
        })
        .unwrap();
}

/// With `nf_conntrack_events` at 2 an entry is told of only if somebody listened when it was made, in any namespace of the
/// host (`nf_ct_ecache_ext_add`); at 0 never, at 1 always.
#[test]
fn entries_that_were_made_before_anybody_listened_are_told_by_the_setting() {
    let older = |setting: u32| {
        let namespace = LabNamespace::create().unwrap();
        namespace.set("net/netfilter/nf_conntrack_events", setting).unwrap();
        namespace.enter(|| fill(20)).unwrap();
        namespace.set("net/netfilter/nf_conntrack_events", 2).unwrap();
        let mut listener = namespace.enter(|| Listener::subscribe(BUFFER_BYTES)).unwrap().unwrap();
        namespace.enter(delete_all).unwrap();
        drain(&mut listener).0
    };
    assert_eq!(older(0), 0);
    assert_eq!(older(1), 20);
    let elsewhere = LabNamespace::create().unwrap();
    let _listener = elsewhere.enter(|| Listener::subscribe(BUFFER_BYTES)).unwrap().unwrap();
    assert_eq!(older(2), 20, "somebody listens elsewhere");
}

#[test]
fn without_the_right_the_error_says_which() {
    let namespace = LabNamespace::create().unwrap();
    let as_nobody = || {
        // Of this thread alone, which ends with the closure.
        let nobody = rustix::fs::Uid::from_raw(65_534);
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        Listener::subscribe(BUFFER_BYTES).map(drop)
    };
    let error = namespace.enter(as_nobody).unwrap().unwrap_err();
    assert!(error.is_permission(), "{error}");
    assert_eq!(
        error.to_string(),
        "cannot listen to conntrack events: joining their groups, which takes CAP_NET_ADMIN: \
         Operation not permitted (os error 1)"
    );
}
