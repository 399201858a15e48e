//! What `check` says of when entries came and where their number leads, of real traffic at known times. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::Read;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_lab::{Kind, LabNamespace, entries};
use plimsoll_model::TcpState;
use serde_json::Value;
use support::{namespace, plimsoll};

/// Three phases: events a second, and for how many seconds.
const PHASES: [(u32, u32); 3] = [(30, 4), (150, 4), (60, 7)];

/// Runs an event at the rate of each phase in turn, and returns when each really ended.
fn paced(mut event: impl FnMut()) -> Vec<Instant> {
    let mut happened = Vec::new();
    for (per_sec, secs) in PHASES {
        let began = Instant::now();
        for number in 0..per_sec * secs {
            let due = began + Duration::from_secs(1) * number / per_sec;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            event();
            happened.push(Instant::now());
        }
    }
    happened
}

/// The namespace as one reading shows it, and between which moments it was read.
fn read(lab: &LabNamespace) -> (Value, Instant, Instant) {
    let before = Instant::now();
    let run = plimsoll(&["check", "--netns", lab.name(), "--interval", "0", "--json"]);
    let after = Instant::now();
    (namespace(&run.json(), lab.name()).clone(), before, after)
}

fn timeline<'a>(ns: &'a Value, series: &str) -> &'a Value {
    let timelines = ns["churn"]["timelines"].as_array().expect("timelines");
    timelines.iter().find(|timeline| timeline["series"] == series).unwrap_or_else(|| panic!("no {series}: {ns:#}"))
}

/// Judges every bin by what was really sent. One of twenty may miss by chance; sent at a steady pace, none does.
fn judge(timeline: &Value, happened: &[Instant], before: Instant, after: Instant) {
    let bins = timeline["bins"].as_array().expect("bins");
    let mut told_of = 0;
    for bin in bins {
        let [from, to] = ["from_secs_ago", "to_secs_ago"].map(|key| bin[key].as_u64().unwrap());
        let in_bin = |read_at: Instant| {
            let age = |at: &Instant| read_at.saturating_duration_since(*at).as_secs_f64();
            happened.iter().filter(|at| (from as f64..to as f64).contains(&age(at))).count() as f64 / (to - from) as f64
        };
        // It was read at some moment between the two.
        let moments = (0..=10).map(|tenth| before + (after - before) * tenth / 10);
        let sent: Vec<_> = moments.map(in_bin).collect();
        let [low, high] = ["low", "high"].map(|key| bin["per_sec"][key].as_f64().unwrap());
        assert!(sent.iter().any(|sent| low <= *sent && *sent <= high), "sent {sent:?} in {bin} of {timeline:#}");
        told_of += bin["drawn"].as_u64().unwrap();
    }
    assert!(told_of as f64 > happened.len() as f64 * 0.8, "only {told_of} of {}: {timeline:#}", happened.len());
    assert!(bins.len() >= 6, "{timeline:#}");
}

#[test]
fn closes_of_real_connections_are_read_back_by_age() {
    let lab = LabNamespace::tracking().unwrap();
    lab.set("net/netfilter/nf_conntrack_tcp_timeout_time_wait", 24).unwrap();
    let happened = lab
        .enter(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            paced(|| {
                let mut client = TcpStream::connect(address).unwrap();
                let (server, _) = listener.accept().unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                drop(server);
                // Until the other side's FIN has come.
                assert_eq!(client.read(&mut [0]).unwrap(), 0);
            })
        })
        .unwrap();
    let (ns, before, after) = read(&lab);
    judge(timeline(&ns, "closes"), &happened, before, after);
    let outlook = &ns["churn"]["outlook"];
    assert_eq!(outlook["kind"], "levels_off", "{outlook}");
    // At 60 a second held for 24 s; expired ones stay in the count for up to a minute.
    let [low, high] = ["low", "high"].map(|key| outlook["entries"][key].as_f64().unwrap());
    assert!(low < 60.0 * 24.0 && 60.0 * 24.0 < high && high < 2.0 * 60.0 * (24.0 + 60.0), "{outlook}");
}

#[test]
fn unanswered_udp_is_read_back_by_age_and_all_by_the_time_at_which_entries_were_made() {
    let lab = LabNamespace::tracking().unwrap();
    // Nobody is to answer, not even by ICMP.
    lab.nft("table inet silent { chain in { type filter hook input priority 10; meta l4proto udp drop; }; }\n")
        .unwrap();
    lab.set("net/netfilter/nf_conntrack_timestamp", 1).unwrap();
    lab.set("net/netfilter/nf_conntrack_acct", 1).unwrap();
    let mut port = 1024;
    let happened = lab
        .enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            paced(|| {
                port += 1;
                socket.send_to(b"plimsoll", (Ipv4Addr::LOCALHOST, port)).unwrap();
            })
        })
        .unwrap();
    let (ns, before, after) = read(&lab);
    judge(timeline(&ns, "one_way_udp"), &happened, before, after);
    judge(timeline(&ns, "new_flows"), &happened, before, after);
    assert!(timeline(&ns, "one_way_udp")["caveats"].as_array().unwrap().is_empty(), "{ns:#}");
}

fn outlook_after(lab: &LabNamespace, arguments: &[&str]) -> Value {
    let mut all = vec!["check", "--netns", lab.name(), "--json"];
    all.extend(arguments);
    namespace(&plimsoll(&all).json(), lab.name())["churn"]["outlook"].clone()
}

#[test]
fn what_stays_or_leaks_is_told_by_watching_and_not_by_one_reading() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, 4_000)).unwrap();
    let one_reading = outlook_after(&lab, &["--interval", "0"]);
    assert_eq!((&one_reading["kind"], &one_reading["needs"]), (&"not_known".into(), &"longer_watch".into()));

    let watched = thread::scope(|scope| {
        let watching = scope.spawn(|| outlook_after(&lab, &["--watch-for", "3s"]));
        let mut first = 10_000;
        while !watching.is_finished() {
            lab.fill(entries(Kind::AssuredTcp(TcpState::Established), first, 20)).unwrap();
            first += 20;
            thread::sleep(Duration::from_millis(50));
        }
        watching.join().unwrap()
    });
    assert_eq!(watched["kind"], "not_known", "{watched}");
    assert!(watched["because"].as_str().unwrap().contains("grows by"), "{watched}");
}

#[test]
fn a_storm_that_fills_the_table_is_given_a_time() {
    let lab = LabNamespace::tracking().unwrap();
    lab.nft("table inet silent { chain in { type filter hook input priority 10; meta l4proto udp drop; }; }\n")
        .unwrap();
    // Half an hour, so that what comes at this rate fills the table.
    lab.set("net/netfilter/nf_conntrack_udp_timeout", 1800).unwrap();
    let (outlook, limit) = lab
        .enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let began = Instant::now();
            let mut sent = 0_u32;
            while began.elapsed() < Duration::from_secs(7) {
                let address = Ipv4Addr::from_bits(0x7f01_0000 + sent / 50_000);
                let port = 1024 + u16::try_from(sent % 50_000).unwrap();
                socket.send_to(b"plimsoll", (address, port)).unwrap();
                sent += 1;
                // About four thousand a second, however busy the machine is.
                let due = began + Duration::from_micros(250) * sent;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let run = plimsoll(&["check", "--netns", lab.name(), "--interval", "0", "--json"]);
            let ns = namespace(&run.json(), lab.name()).clone();
            let per_sec = f64::from(sent) / began.elapsed().as_secs_f64();
            let left = ns["capacity"].as_f64().unwrap() - ns["occupancy"].as_f64().unwrap();
            (ns["churn"]["outlook"].clone(), left / per_sec)
        })
        .unwrap();
    assert_eq!(outlook["kind"], "full_in", "{outlook}");
    let secs = outlook["secs"].as_f64().unwrap();
    assert!((secs / limit - 1.0).abs() < 0.3, "{secs} s, where {limit} s are left: {outlook}");
}
