//! What settings and counters tell: each finding from both sides of its threshold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use plimsoll_diagnose::diagnose;
use plimsoll_model::{
    Buckets, Capacity, Confidence, Counter, Entry, Finding, FindingId, Lasting, Layer4, ModuleState, NamedBy,
    NetworkSettings, Occupancy, Protocol, ProtocolState, Relation, SettingInFile, Severity, Snapshot, Status, Sysctl,
    TcpState, Timeout, Timeouts, Tuple, Verdict,
};

use crate::support::{census_of, change, host, namespace};

fn found(snapshot: &Snapshot, id: FindingId) -> Option<Finding> {
    diagnose(snapshot).into_iter().find(|finding| finding.id == id)
}

fn severity(snapshot: &Snapshot, id: FindingId) -> Option<Severity> {
    found(snapshot, id).map(|finding| finding.severity)
}

fn entries(state: TcpState, number: u32, remaining_secs: u32) -> Vec<Entry> {
    let entry = |number: u32| {
        let source = Ipv4Addr::from_bits(0x0a00_0000 + number).into();
        let layer4 = Layer4::Ports { source: 1024 + state as u16, destination: 443 };
        let tuple = Tuple { source, destination: Ipv4Addr::LOCALHOST.into(), protocol: Protocol::TCP, layer4 };
        let status = Status::SEEN_REPLY.and(Status::ASSURED);
        let state = ProtocolState::Tcp(state);
        Entry { id: number, status, state, remaining_secs: Some(remaining_secs), ..Entry::of(tuple) }
    };
    (0..number).map(entry).collect()
}

/// A host with some timeouts in force, and the entries given.
fn with_timeouts(timeouts: &[(TcpState, u32)], entries: &[Entry]) -> Snapshot {
    let mut snapshot = host();
    let set = timeouts.iter().map(|(state, secs)| (Timeout::Tcp(*state), *secs));
    let in_force: Timeouts = Timeouts::compiled_defaults().iter_secs().chain(set).collect();
    snapshot.namespaces[0].settings = NetworkSettings {
        keepalive_time_secs: Some(7200),
        keepalive_interval_secs: Some(75),
        ..NetworkSettings::default()
    };
    snapshot.namespaces[0].census = Some(census_of(&in_force, entries));
    snapshot.namespaces[0].timeouts = in_force;
    snapshot
}

#[test]
fn a_time_wait_below_15_s_is_risky_and_harm_is_where_connections_close() {
    let at = |secs, closed| with_timeouts(&[(TcpState::TimeWait, secs)], &entries(TcpState::TimeWait, closed, 1));
    assert_eq!(severity(&at(14, 1), FindingId::TimeoutRisky), Some(Severity::Warning));
    assert_eq!(severity(&at(14, 0), FindingId::TimeoutRisky), Some(Severity::Info));
    assert_eq!(severity(&at(15, 1), FindingId::TimeoutRisky), None);
    let remedy = &found(&at(14, 1), FindingId::TimeoutRisky).expect("a finding").remedies[0];
    let command = remedy.command.as_deref().expect("a command");
    assert_eq!(command, "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30");
}

#[test]
fn an_established_timeout_must_outlive_the_first_keepalive_and_one_that_is_lost() {
    let at = |secs| with_timeouts(&[(TcpState::Established, secs)], &[]);
    assert_eq!(severity(&at(7274), FindingId::TimeoutRisky), Some(Severity::Info));
    assert_eq!(severity(&at(7275), FindingId::TimeoutRisky), None);
    let mut unread = at(60);
    unread.namespaces[0].settings = NetworkSettings::default();
    assert_eq!(severity(&unread, FindingId::TimeoutRisky), None, "what keepalives need was not read");
    let mut unread = at(60);
    unread.namespaces[0].timeouts = Timeouts::default();
    assert_eq!(severity(&unread, FindingId::TimeoutRisky), None, "nor the timeouts");
}

#[test]
fn connections_that_have_been_silent_for_half_of_the_timeout_make_it_a_warning() {
    let silent_for = |secs: u32| {
        let timeouts = [(TcpState::Established, 3600)];
        with_timeouts(&timeouts, &entries(TcpState::Established, 100, 3600 - secs))
    };
    // The time left is told in whole seconds, so a silence is known to a second.
    assert_eq!(severity(&silent_for(1800), FindingId::TimeoutRisky), Some(Severity::Info));
    assert_eq!(severity(&silent_for(1801), FindingId::TimeoutRisky), Some(Severity::Warning));
    // Armed by five days, before the timeout was lowered: it will not strike them.
    let old = with_timeouts(&[(TcpState::Established, 3600)], &entries(TcpState::Established, 100, 100_000));
    assert_eq!(severity(&old, FindingId::TimeoutRisky), Some(Severity::Info));
    // Timeouts of unacknowledged data end sooner, and say nothing of silence.
    let unacknowledged = with_timeouts(&[(TcpState::Established, 3600)], &entries(TcpState::Established, 100, 290));
    assert_eq!(severity(&unacknowledged, FindingId::TimeoutRisky), Some(Severity::Info));
}

#[test]
fn both_timeouts_may_be_risky_at_once_and_commands_go_where_they_belong() {
    let mut snapshot = with_timeouts(&[(TcpState::Established, 60), (TcpState::TimeWait, 5)], &[]);
    snapshot.namespaces[0].namespace.relation = Relation::Other;
    snapshot.namespaces[0].namespace.name = "blue".into();
    let findings = diagnose(&snapshot);
    let risky: Vec<_> = findings.iter().filter(|finding| finding.id == FindingId::TimeoutRisky).collect();
    assert_eq!(risky.len(), 2);
    let commands: Vec<_> = risky.iter().filter_map(|finding| finding.remedies[0].command.as_deref()).collect();
    assert!(
        commands.iter().all(|command| command.starts_with("ip netns exec blue sysctl -w net.netfilter.")),
        "{commands:?}"
    );
    assert!(commands.iter().any(|command| command.ends_with("established=7440")), "{commands:?}");
}

#[test]
fn syncookies_that_are_off_matter_where_many_handshakes_are_not_done() {
    let with = |syncookies, half_open: u32, others| {
        let mut all = entries(TcpState::SynRecv, half_open / 2, 30);
        all.extend(entries(TcpState::SynSent, half_open - half_open / 2, 30));
        all.extend(entries(TcpState::Established, others, 400_000));
        let mut snapshot = host();
        snapshot.namespaces[0].settings.syncookies = syncookies;
        snapshot.namespaces[0].census = Some(census_of(&Timeouts::compiled_defaults(), &all));
        snapshot
    };
    let id = FindingId::SyncookiesOff;
    assert_eq!(severity(&with(Some(0), 1000, 9000), id), Some(Severity::Warning));
    assert_eq!(severity(&with(Some(0), 1000, 9001), id), Some(Severity::Info), "a smaller share");
    assert_eq!(severity(&with(Some(0), 999, 1000), id), Some(Severity::Info), "too few");
    for not_off in [Some(1), Some(2), None] {
        assert_eq!(severity(&with(not_off, 5000, 0), id), None, "{not_off:?}");
    }
    let mut unread = with(Some(0), 0, 0);
    unread.namespaces[0].census = None;
    assert_eq!(severity(&unread, id), Some(Severity::Info));
}

#[test]
fn clashes_are_a_warning_from_one_a_second_and_long_chains_are_none() {
    let with = |values: &[(Counter, u32)], secs| {
        let mut snapshot = host();
        let mut change = change(values);
        change.over = Duration::from_secs(secs);
        snapshot.namespaces[0].change = Some(change);
        snapshot
    };
    let id = FindingId::InsertClash;
    assert_eq!(severity(&with(&[(Counter::InsertFailed, 10)], 10), id), Some(Severity::Warning));
    assert_eq!(severity(&with(&[(Counter::InsertFailed, 9)], 10), id), Some(Severity::Info));
    assert_eq!(severity(&with(&[(Counter::ClashResolved, 1000)], 1), id), None, "resolved ones cost nothing");
    let chains = [(Counter::InsertFailed, 500), (Counter::ChainTooLong, 500)];
    assert_eq!(severity(&with(&chains, 1), id), None, "another finding");
    let both = [(Counter::InsertFailed, 503), (Counter::ChainTooLong, 500), (Counter::ClashResolved, 7)];
    let finding = found(&with(&both, 1), id).expect("a finding");
    let value = |key| finding.evidence.iter().find(|evidence| evidence.key == key).and_then(|evidence| evidence.value);
    assert_eq!((value("clashes"), value("clashes_resolved")), (Some(3.0), Some(7.0)));
    // One reading, or a kernel that does not count.
    let mut unread = host();
    unread.namespaces[0].change = None;
    assert_eq!(severity(&unread, id), None);
}

#[test]
fn invalid_packets_are_a_warning_where_they_are_many_and_a_share() {
    let with = |invalid, packets, secs| {
        let mut snapshot = host();
        let mut change = change(&[(Counter::Invalid, invalid)]);
        change.over = Duration::from_secs(secs);
        snapshot.namespaces[0].change = Some(change);
        snapshot.namespaces[0].packets = packets;
        snapshot
    };
    let id = FindingId::InvalidPackets;
    assert_eq!(severity(&with(10, Some(1000), 1), id), Some(Severity::Warning));
    assert_eq!(severity(&with(9, Some(100), 1), id), Some(Severity::Info), "below ten a second");
    assert_eq!(severity(&with(10, Some(1001), 1), id), Some(Severity::Info), "below one in a hundred");
    assert_eq!(severity(&with(1000, None, 1), id), Some(Severity::Info), "of how many is not known");
    assert_eq!(severity(&with(1, Some(10), 1), id), Some(Severity::Info));
    assert_eq!(severity(&with(1, Some(10), 2), id), None, "what every host sees");
    let finding = found(&with(10, Some(100), 1), id).expect("a finding");
    assert!(finding.meaning.contains("UNTRACKED"), "notrack makes nothing invalid: {}", finding.meaning);
    assert!(!finding.remedies.iter().any(|r| r.command.as_deref().is_some_and(|c| c.contains("liberal"))), "not read");
    let mut strict = with(10, Some(100), 1);
    strict.namespaces[0].settings.tcp_be_liberal = Some(false);
    let remedies = found(&strict, id).expect("a finding").remedies;
    assert!(remedies.iter().any(|r| r.command.as_deref().is_some_and(|c| c.ends_with("tcp_be_liberal=1"))));
}

/// A host of 16 GiB at its kernel's defaults, whose files say nothing.
fn booted() -> Snapshot {
    let mut snapshot = host();
    snapshot.limits.capacity = Some(Capacity(262_144));
    snapshot.limits.buckets = Some(Buckets(262_144));
    snapshot.namespaces[0].namespace.named_by = NamedBy::Host;
    snapshot.namespaces[0].timeouts = Timeouts::compiled_defaults();
    snapshot.lasting = Some(Lasting::default());
    snapshot
}

fn in_file(name: &str, value: &str) -> SettingInFile {
    SettingInFile { name: name.into(), value: value.into(), file: "/etc/sysctl.d/90-x.conf".into() }
}

fn lasting(sysctl: &[(&str, &str)]) -> Lasting {
    let sysctl = sysctl.iter().map(|(name, value)| in_file(name, value)).collect();
    Lasting { sysctl, loaded_by: Some("/etc/modules-load.d/x.conf".into()), hashsize: None }
}

const MAX: &str = "net.netfilter.nf_conntrack_max";
const ID: FindingId = FindingId::SettingsNotPersistent;

#[test]
fn a_host_at_its_defaults_has_nothing_to_lose_whatever_its_kernel() {
    assert_eq!(severity(&booted(), ID), None);
    let mut older = booted();
    older.limits.buckets = Some(Buckets(65_536));
    assert_eq!(severity(&older, ID), None);
    let mut small = booted();
    small.host.ram_bytes = Some(2 << 30);
    (small.limits.capacity, small.limits.buckets) = (Some(Capacity(65_536)), Some(Buckets(16_384)));
    assert_eq!(severity(&small, ID), None);
}

#[test]
fn a_limit_set_by_hand_is_gone_after_a_boot() {
    let mut snapshot = booted();
    snapshot.limits.capacity = Some(Capacity(1_048_576));
    let finding = found(&snapshot, ID).expect("a finding");
    assert_eq!((finding.severity, &finding.namespace), (Severity::Info, &None));
    assert!(finding.evidence[0].text.contains("nf_conntrack_max is 1,048,576"), "{finding:?}");
    assert_eq!(finding.evidence[0].value, Some(262_144.0));
    let command = finding.remedies[0].command.as_deref().expect("a command");
    assert_eq!(
        command,
        "printf '%s\\n' 'net.netfilter.nf_conntrack_max = 1048576' >> /etc/sysctl.d/90-nf_conntrack.conf"
    );
    // More entries than the next boot would let in.
    snapshot.namespaces[0].occupancy = Some(Occupancy(262_144));
    assert_eq!(severity(&snapshot, ID), Some(Severity::Info));
    snapshot.namespaces[0].occupancy = Some(Occupancy(262_145));
    assert_eq!(severity(&snapshot, ID), Some(Severity::Warning));
    snapshot.lasting = Some(lasting(&[(MAX, "1048576")]));
    assert_eq!(severity(&snapshot, ID), None, "a file sets it, in time");
    snapshot.lasting = Some(lasting(&[(MAX, "0")]));
    assert_eq!(severity(&snapshot, ID), Some(Severity::Info), "no limit is none below");
}

#[test]
fn what_a_governor_holds_for_a_while_is_not_what_ought_to_last() {
    let sysctl: Sysctl = "net.netfilter.nf_conntrack_tcp_timeout_time_wait".parse().expect("a sysctl");
    let mut snapshot = booted();
    snapshot.namespaces[0].timeouts = [(Timeout::Tcp(TcpState::TimeWait), 30)].into_iter().collect();
    assert_eq!(severity(&snapshot, ID), Some(Severity::Info));
    snapshot.governed = vec![(sysctl, 120)];
    assert_eq!(severity(&snapshot, ID), None, "it will be 120 again");
    snapshot.governed = vec![(sysctl, 60)];
    assert_eq!(severity(&snapshot, ID), Some(Severity::Info), "60 was set by hand");
}

#[test]
fn the_last_file_counts_under_either_name() {
    let mut snapshot = booted();
    snapshot.limits.capacity = Some(Capacity(500_000));
    snapshot.lasting = Some(lasting(&[(MAX, "1000"), ("net.nf_conntrack_max", "500000")]));
    assert_eq!(severity(&snapshot, ID), None);
    snapshot.lasting = Some(lasting(&[("net.nf_conntrack_max", "500000"), (MAX, "1000")]));
    let finding = found(&snapshot, ID).expect("a finding");
    assert_eq!(finding.evidence[0].value, Some(1000.0));
    assert!(finding.remedies.iter().any(|remedy| remedy.action.contains("/etc/sysctl.d/90-x.conf")), "{finding:?}");
}

#[test]
fn a_file_that_is_read_before_the_module_is_loaded_may_do_nothing() {
    let mut snapshot = booted();
    snapshot.limits.capacity = Some(Capacity(1_048_576));
    snapshot.lasting = Some(Lasting { loaded_by: None, ..lasting(&[(MAX, "1048576")]) });
    let finding = found(&snapshot, ID).expect("a finding");
    assert_eq!((finding.severity, finding.confidence), (Severity::Info, Confidence::Possible));
    let load = finding.remedies.iter().find_map(|remedy| remedy.command.as_deref()).expect("a command");
    assert_eq!(load, "echo nf_conntrack > /etc/modules-load.d/nf_conntrack.conf");
    snapshot.namespaces[0].occupancy = Some(Occupancy(300_000));
    assert_eq!(severity(&snapshot, ID), Some(Severity::Info), "it may be in time: no warning");
    snapshot.module = ModuleState::BuiltIn;
    assert_eq!(severity(&snapshot, ID), None, "the name is there from the start");
}

#[test]
fn a_hash_size_for_the_module_sets_the_limit_too() {
    let mut snapshot = booted();
    let hashsize = |value| Some(Lasting { hashsize: Some(in_file("hashsize", value)), ..lasting(&[]) });
    (snapshot.limits.capacity, snapshot.limits.buckets) = (Some(Capacity(8192)), Some(Buckets(1024)));
    snapshot.lasting = hashsize("1000");
    assert_eq!(severity(&snapshot, ID), None);
    snapshot.limits.capacity = Some(Capacity(262_144));
    assert_eq!(found(&snapshot, ID).expect("a finding").evidence[0].value, Some(8192.0));
    snapshot.lasting = hashsize("many");
    assert_eq!(severity(&snapshot, ID), None, "not understood: nothing is guessed");
}

#[test]
fn timeouts_are_the_first_namespaces_and_the_compiled_ones_otherwise() {
    let with = |timeout, secs| {
        let mut snapshot = booted();
        snapshot.namespaces[0].timeouts = [(timeout, secs)].into_iter().collect();
        snapshot
    };
    let time_wait = Timeout::Tcp(TcpState::TimeWait);
    assert_eq!(severity(&with(time_wait, 120), ID), None);
    assert_eq!(severity(&with(time_wait, 30), ID), Some(Severity::Info));
    assert_eq!(severity(&with(Timeout::UdpStream, 180), ID), None, "as compiled into older kernels");
    assert_eq!(severity(&with(Timeout::UdpStream, 60), ID), Some(Severity::Info));
    let mut set = with(time_wait, 30);
    set.lasting = Some(lasting(&[("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "30")]));
    assert_eq!(severity(&set, ID), None);
    let mut container = with(time_wait, 30);
    container.namespaces[0].namespace.named_by = NamedBy::Container;
    assert_eq!(severity(&container, ID), None, "no file sets a container's");
}

#[test]
fn nothing_is_guessed_where_something_was_not_read() {
    let mut snapshot = booted();
    snapshot.limits.capacity = Some(Capacity(1_048_576));
    let silent = |snapshot: &Snapshot| assert_eq!(severity(snapshot, ID), None);
    silent(&Snapshot { lasting: None, ..snapshot.clone() });
    silent(&Snapshot { module: ModuleState::Unknown, ..snapshot.clone() });
    silent(&Snapshot { module: ModuleState::Absent, ..snapshot.clone() });
    silent(&Snapshot { lasting: Some(lasting(&[(MAX, "lots")])), ..snapshot.clone() });
    snapshot.host.ram_bytes = None;
    silent(&snapshot);
}

#[test]
fn none_of_these_makes_a_healthy_host_ill() {
    let mut snapshot = booted();
    snapshot.namespaces[0].settings.syncookies = Some(0);
    snapshot.limits.capacity = Some(Capacity(1_048_576));
    snapshot.namespaces.push(namespace("other", Relation::Other, 5));
    assert_eq!(Verdict::of(&diagnose(&snapshot)), Verdict::Ok);
    for finding in diagnose(&snapshot) {
        assert!(finding.holds.is_none() && !finding.remedies.is_empty() && !finding.evidence.is_empty(), "{finding:?}");
    }
}
