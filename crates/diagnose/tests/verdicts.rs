//! From a reading to a verdict: each finding where it must be, and nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::net::Ipv4Addr;

use plimsoll_diagnose::diagnose;
use plimsoll_model::{
    Answer, Buckets, Capacity, Counter, Elsewhere, Entry, Finding, FindingId, Inode, KernelLog, Layer4, LogOccurrences,
    ModuleState, NamedBy, Occupancy, Protocol, ProtocolState, Reading, Relation, Scope, Severity, Slab, Snapshot,
    Status, TcpState, Timeouts, Tuple, Unseen, Untrusted, Verdict, ZoneLimit,
};

use crate::support::{CAPACITY, census_of, change, counters, host, namespace};

/// A whole census with so many entries that `early_drop` may kill and so many that it may not.
///
/// The assured ones are in `TIME_WAIT`.
fn census(killable: u32, assured: u32) -> plimsoll_model::Census {
    let entry = |number: u32| {
        let source = Ipv4Addr::from_bits(0x0a00_0000 + number).into();
        let layer4 = Layer4::Ports { source: 1024, destination: 443 };
        let tuple = Tuple { source, destination: Ipv4Addr::LOCALHOST.into(), protocol: Protocol::TCP, layer4 };
        let (status, state) = if number < killable {
            (Status(0), TcpState::SynSent)
        } else {
            (Status::SEEN_REPLY.and(Status::ASSURED), TcpState::TimeWait)
        };
        let state = ProtocolState::Tcp(state);
        Entry { id: number, status, state, remaining_secs: Some(60), ..Entry::of(tuple) }
    };
    census_of(&Timeouts::default(), &(0..killable + assured).map(entry).collect::<Vec<_>>())
}

fn found(snapshot: &Snapshot, id: FindingId) -> Option<Finding> {
    diagnose(snapshot).into_iter().find(|finding| finding.id == id)
}

fn severity(snapshot: &Snapshot, id: FindingId) -> Option<Severity> {
    found(snapshot, id).map(|finding| finding.severity)
}

fn verdict(snapshot: &Snapshot) -> Verdict {
    Verdict::of(&diagnose(snapshot))
}

#[test]
fn a_healthy_host_has_no_findings() {
    assert_eq!(diagnose(&host()), []);
    assert_eq!(verdict(&host()), Verdict::Ok);
}

#[test]
fn filling_begins_at_three_quarters() {
    let at = |occupancy| {
        let mut snapshot = host();
        snapshot.namespaces[0].occupancy = Some(Occupancy(occupancy));
        snapshot
    };
    assert_eq!(verdict(&at(7_499)), Verdict::Ok);
    assert_eq!(severity(&at(7_500), FindingId::TableFilling), Some(Severity::Warning));
    assert_eq!(severity(&at(8_999), FindingId::TableFilling), Some(Severity::Warning));
    assert_eq!(severity(&at(9_000), FindingId::TableFilling), None);
    let unread = found(&at(9_000), FindingId::TableFull).expect("a finding");
    assert_eq!(unread.severity, Severity::Critical, "nothing is known of the entries, so the worst is assumed");
    assert!(!unread.title.contains("100.0% of new flows") && unread.title.contains("could not be read"), "{unread:?}");
}

#[test]
fn a_table_full_of_assured_entries_is_critical_and_one_of_half_open_entries_is_not() {
    let full_of = |killable, assured| {
        let mut snapshot = host();
        snapshot.namespaces[0].occupancy = Some(Occupancy(killable + assured));
        snapshot.namespaces[0].census = Some(census(killable, assured));
        snapshot
    };
    assert_eq!(severity(&full_of(0, 9_500), FindingId::TableFull), Some(Severity::Critical));
    assert_eq!(severity(&full_of(9_500, 0), FindingId::TableFull), Some(Severity::Warning));
    // exp(−16·U/B) = 1 % at U/B = 0.2878.
    assert_eq!(severity(&full_of(2_800, 6_700), FindingId::TableFull), Some(Severity::Critical));
    assert_eq!(severity(&full_of(2_950, 6_550), FindingId::TableFull), Some(Severity::Warning));
}

#[test]
fn drops_now_are_critical_however_full_the_table_and_old_drops_are_not() {
    let mut snapshot = host();
    snapshot.namespaces[0].counters = Some(counters(&[(Counter::Drop, 1_000_000), (Counter::EarlyDrop, 1_000_000)]));
    assert_eq!(diagnose(&snapshot), [], "counters since boot are no severity");

    snapshot.namespaces[0].change = Some(change(&[(Counter::Drop, 5)]));
    assert_eq!(severity(&snapshot, FindingId::TableFull), Some(Severity::Critical));

    // Clashes raise `drop` too, and are not a full table's.
    snapshot.namespaces[0].change = Some(change(&[(Counter::Drop, 5), (Counter::InsertFailed, 5)]));
    assert_eq!(severity(&snapshot, FindingId::TableFull), None);
}

#[test]
fn a_full_container_is_found_on_a_host_whose_own_count_is_low() {
    let mut snapshot = host();
    let mut container = namespace("container", Relation::Other, 10_000);
    container.census = Some(census(0, 10_000));
    snapshot.namespaces.push(container);
    let finding = found(&snapshot, FindingId::NamespaceFull).expect("a finding");
    assert_eq!(finding.severity, Severity::Critical);
    assert_eq!(finding.namespace, Some(Untrusted::from("container")));
    assert_eq!(severity(&snapshot, FindingId::TableFull), None);
}

#[test]
fn a_command_is_only_given_for_a_name_that_a_shell_leaves_alone() {
    let command = |name: &str, named_by| {
        let mut snapshot = host();
        let mut container = namespace(name, Relation::Other, 10_000);
        container.namespace.named_by = named_by;
        container.census = Some(census(0, 10_000));
        container.change = Some(change(&[(Counter::Drop, 5)]));
        snapshot.namespaces.push(container);
        let remedies = found(&snapshot, FindingId::NamespaceFull).expect("a finding").remedies;
        remedies.into_iter().filter_map(|remedy| remedy.command).find(|command| command.contains("conntrack -D"))
    };
    let given = command("blue", NamedBy::Given).expect("a command");
    assert!(given.starts_with("ip netns exec blue conntrack -D"), "{given}");
    for (name, named_by) in [("x;id;#", NamedBy::Given), ("-all", NamedBy::Given), ("net:[4026532280]", NamedBy::Inode)]
    {
        assert_eq!(command(name, named_by), None, "{name}");
    }
}

#[test]
fn a_recent_line_in_the_log_is_critical_and_an_old_one_is_not() {
    let logged = |last_secs_ago| LogOccurrences { first_secs_ago: 9000, last_secs_ago, lines: 3 };
    let mut snapshot = host();
    snapshot.namespaces[0].counters = Some(counters(&[(Counter::Drop, 7)]));
    snapshot.log = Some(KernelLog { unnamed: Some(logged(299)), ..KernelLog::default() });
    assert_eq!(severity(&snapshot, FindingId::TableFull), Some(Severity::Critical));
    snapshot.log = Some(KernelLog { unnamed: Some(logged(301)), ..KernelLog::default() });
    assert_eq!(verdict(&snapshot), Verdict::Ok);
}

#[test]
fn a_line_of_the_log_is_told_of_the_namespace_that_it_names_and_of_no_other() {
    let logged = LogOccurrences { first_secs_ago: 60, last_secs_ago: 2, lines: 3 };
    let mut snapshot = host();
    snapshot.namespaces.push(namespace("container", Relation::Other, 100));
    snapshot.namespaces.iter_mut().for_each(|ns| ns.counters = Some(counters(&[(Counter::Drop, 7)])));
    let inode = snapshot.namespaces[1].namespace.inode.expect("an inode");
    snapshot.log = Some(KernelLog { named: vec![(inode, logged)], ..KernelLog::default() });
    assert_eq!(severity(&snapshot, FindingId::NamespaceFull), Some(Severity::Critical));
    assert_eq!(severity(&snapshot, FindingId::TableFull), None);

    // The inode was another namespace's before: this one has never dropped a packet.
    snapshot.namespaces[1].counters = Some(counters(&[]));
    let finding = found(&snapshot, FindingId::NamespaceFull).expect("somebody's");
    assert_eq!((finding.severity, verdict(&snapshot)), (Severity::Info, Verdict::Ok));
}

#[test]
fn a_line_that_names_nobody_is_told_of_the_likeliest() {
    let logged = LogOccurrences { first_secs_ago: 60, last_secs_ago: 2, lines: 3 };
    let mut snapshot = host();
    snapshot.namespaces.push(namespace("container", Relation::Other, 9_999));
    snapshot.namespaces.iter_mut().for_each(|ns| ns.counters = Some(counters(&[(Counter::Drop, 7)])));
    snapshot.log = Some(KernelLog { unnamed: Some(logged), ..KernelLog::default() });
    assert_eq!(severity(&snapshot, FindingId::TableFull), None, "the host's table is nearly empty");
    assert_eq!(severity(&snapshot, FindingId::NamespaceFull), Some(Severity::Critical));
}

#[test]
fn a_logged_drop_that_no_visible_namespace_can_explain_is_unknown_where_some_are_hidden() {
    let logged = LogOccurrences { first_secs_ago: 60, last_secs_ago: 2, lines: 3 };
    let mut snapshot = host();
    snapshot.log = Some(KernelLog { named: vec![(Inode(1), logged)], ..KernelLog::default() });
    assert_eq!(verdict(&snapshot), Verdict::Ok, "all were seen: that one is gone");
    snapshot.unseen.push(unseen(Reading::Namespaces));
    assert_eq!(severity(&snapshot, FindingId::NamespaceFull), Some(Severity::Unknown));
}

#[test]
fn early_drop_within_the_interval_is_a_warning() {
    let mut snapshot = host();
    snapshot.namespaces[0].change = Some(change(&[(Counter::EarlyDrop, 12)]));
    assert_eq!(severity(&snapshot, FindingId::EarlyDrop), Some(Severity::Warning));
}

#[test]
fn chains_that_refuse_entries_are_critical() {
    let mut snapshot = host();
    snapshot.namespaces[0].change = Some(change(&[(Counter::ChainTooLong, 3), (Counter::InsertFailed, 3)]));
    assert_eq!(severity(&snapshot, FindingId::ChainTooLong), Some(Severity::Critical));
    assert_eq!(severity(&snapshot, FindingId::TableFull), None);
}

#[test]
fn a_hash_that_would_refuse_entries_before_the_limit_is_too_small() {
    let with_buckets = |buckets, occupancy| {
        let mut snapshot = host();
        snapshot.limits.buckets = Some(Buckets(buckets));
        snapshot.namespaces[0].occupancy = Some(Occupancy(occupancy));
        snapshot
    };
    assert_eq!(severity(&with_buckets(CAPACITY / 25, 100), FindingId::HashTooSmall), Some(Severity::Warning));
    assert_eq!(severity(&with_buckets(128, 5_000), FindingId::HashTooSmall), Some(Severity::Critical));
    assert_eq!(
        severity(&with_buckets(CAPACITY / 4, 100), FindingId::HashTooSmall),
        None,
        "the classic max/4 is no finding"
    );
}

#[test]
fn memory_at_risk_is_told_from_the_worst_case_of_all_namespaces() {
    let mut snapshot = host();
    snapshot.host.available_bytes = Some(1 << 20);
    assert_eq!(severity(&snapshot, FindingId::MemoryAtRisk), Some(Severity::Warning), "2.4 MiB into 1 MiB");
    snapshot.host.available_bytes = Some(16 << 20);
    assert_eq!(severity(&snapshot, FindingId::MemoryAtRisk), None);
    snapshot.namespaces.extend((0..110).map(|_| namespace("pod", Relation::Other, 10)));
    assert_eq!(severity(&snapshot, FindingId::MemoryAtRisk), Some(Severity::Info), "only if all fill at once");
    snapshot.limits.capacity = Some(Capacity(0));
    assert_eq!(severity(&snapshot, FindingId::MemoryAtRisk), Some(Severity::Warning), "no limit at all");
}

#[test]
fn an_empty_table_is_said_to_be_empty_and_why() {
    let mut snapshot = host();
    snapshot.namespaces[0].occupancy = Some(Occupancy(0));
    assert_eq!(severity(&snapshot, FindingId::NothingTracked), None, "hooked, and simply empty");
    snapshot.namespaces[0].tracking = Answer::No { needs: "a rule".to_string() };
    assert_eq!(severity(&snapshot, FindingId::NothingTracked), Some(Severity::Info));
    snapshot.namespaces[0].tracking = Answer::Inconclusive { because: "old kernel".to_string() };
    assert_eq!(severity(&snapshot, FindingId::NothingTracked), Some(Severity::Info));
    assert_eq!(verdict(&snapshot), Verdict::Ok);
}

#[test]
fn nothing_is_said_of_a_table_that_could_not_be_read() {
    let mut snapshot = host();
    snapshot.namespaces[0].occupancy = None;
    snapshot.namespaces[0].tracking = Answer::Inconclusive { because: "it may not be entered".to_string() };
    assert_eq!(severity(&snapshot, FindingId::NothingTracked), None);
    snapshot.module = ModuleState::Absent;
    assert_eq!(severity(&snapshot, FindingId::NothingTracked), Some(Severity::Info), "no table can be there");
}

#[test]
fn an_empty_table_is_not_said_to_track_nothing_unless_that_is_known() {
    let mut snapshot = host();
    snapshot.namespaces[0].occupancy = Some(Occupancy(0));
    snapshot.namespaces[0].tracking = Answer::Inconclusive { because: "old kernel".to_string() };
    let with_packets = found(&snapshot, FindingId::NothingTracked).expect("a finding");
    snapshot.namespaces[0].packets = None;
    let without = found(&snapshot, FindingId::NothingTracked).expect("a finding");
    assert!(with_packets.title.starts_with("nothing is tracked") && with_packets.confidence > without.confidence);
    assert!(without.title.starts_with("the table is empty; it may be"), "{}", without.title);
}

#[test]
fn a_slab_with_a_tablefull_of_entries_that_nobody_counts_is_no_ok() {
    let mut snapshot = host();
    snapshot.slab = Some(Slab { object_bytes: 256, objects_in_use: 7_599 });
    assert_eq!(verdict(&snapshot), Verdict::Ok);
    snapshot.slab = Some(Slab { object_bytes: 256, objects_in_use: 7_600 });
    assert_eq!(severity(&snapshot, FindingId::CannotSee), Some(Severity::Unknown), "7,500 beyond the 100 counted");
    snapshot.scope = Scope::Named;
    assert_eq!(verdict(&snapshot), Verdict::Ok, "only one was asked for");
}

#[test]
fn what_is_tracked_elsewhere_is_never_fine() {
    let with = |elsewhere| Snapshot { elsewhere: vec![elsewhere], ..host() };
    let map = Elsewhere::BpfMap { id: 1, name: Untrusted::from("cilium_ct4_glob"), max_entries: 1000 };
    assert_eq!(verdict(&with(map)), Verdict::Unknown);
    assert_eq!(verdict(&with(Elsewhere::OpenVswitchZones { limits: None })), Verdict::Unknown);
    let zones = |count| {
        let zone = ZoneLimit { zone: Some(5), limit: 100, count };
        Elsewhere::OpenVswitchZones { limits: Some(vec![zone, ZoneLimit { zone: None, limit: 0, count: 7 }]) }
    };
    assert_eq!(verdict(&with(zones(10))), Verdict::Ok);
    assert_eq!(verdict(&with(zones(80))), Verdict::Warning);
    assert_eq!(verdict(&with(zones(95))), Verdict::Critical);
}

fn unseen(reading: Reading) -> Unseen {
    Unseen {
        reading,
        namespace: None,
        tried: Untrusted::from("read it"),
        answered: Untrusted::from("Permission denied"),
        needs: "root".to_string(),
    }
}

#[test]
fn what_could_hide_harm_makes_the_verdict_unknown_and_what_could_not_does_not() {
    let with = |reading| Snapshot { unseen: vec![unseen(reading)], ..host() };
    for reading in [
        Reading::Occupancy,
        Reading::Capacity,
        Reading::Counters,
        Reading::Namespaces,
        Reading::Namespace,
        Reading::OtherTrackers,
    ] {
        assert_eq!(verdict(&with(reading)), Verdict::Unknown, "{reading:?}");
    }
    for reading in [Reading::KernelLog, Reading::Slab, Reading::Memory, Reading::Timeouts] {
        assert_eq!(verdict(&with(reading)), Verdict::Ok, "{reading:?}");
        assert_eq!(severity(&with(reading), FindingId::CannotSee), Some(Severity::Info), "{reading:?}");
    }
}

#[test]
fn entries_that_were_not_read_may_hide_a_cause() {
    let mut snapshot = Snapshot { unseen: vec![unseen(Reading::Entries)], ..host() };
    snapshot.unseen[0].namespace = Some(snapshot.namespaces[0].namespace.name.clone());
    snapshot.namespaces[0].occupancy = Some(Occupancy(CAPACITY / 100 - 1));
    assert_eq!(verdict(&snapshot), Verdict::Ok, "hardly any are there");
    snapshot.namespaces[0].occupancy = Some(Occupancy(CAPACITY / 100));
    assert_eq!(verdict(&snapshot), Verdict::Unknown);
}

#[test]
fn what_is_known_to_be_wrong_outranks_what_is_not_known() {
    let mut snapshot = host();
    snapshot.unseen.push(unseen(Reading::Namespaces));
    snapshot.namespaces[0].occupancy = Some(Occupancy(8_000));
    assert_eq!(verdict(&snapshot), Verdict::Warning);
    let findings = diagnose(&snapshot);
    assert_eq!(findings[0].id, FindingId::TableFilling, "the worst comes first");
}

#[test]
fn a_hundred_gaps_of_one_kind_are_told_in_one_line() {
    let mut snapshot = host();
    let gap = |number| Unseen {
        namespace: Some(Untrusted::from(format!("pod-{number}").as_str())),
        ..unseen(Reading::Namespace)
    };
    snapshot.unseen.extend((0..100).map(gap));
    let finding = found(&snapshot, FindingId::CannotSee).expect("a finding");
    assert_eq!(finding.evidence.len(), 1);
    assert_eq!(finding.evidence[0].value, Some(100.0));
    assert!(finding.evidence[0].text.contains("pod-0, pod-1, pod-2 and 97 more"), "{}", finding.evidence[0].text);
}

#[test]
fn every_finding_that_is_no_mere_note_says_what_helps() {
    let mut snapshot = host();
    snapshot.namespaces[0].occupancy = Some(Occupancy(9_999));
    snapshot.namespaces[0].change =
        Some(change(&[(Counter::Drop, 5), (Counter::EarlyDrop, 5), (Counter::ChainTooLong, 1)]));
    snapshot.limits.buckets = Some(Buckets(128));
    snapshot.host.available_bytes = Some(1000);
    snapshot.unseen.push(unseen(Reading::Namespaces));
    snapshot.elsewhere.push(Elsewhere::OpenVswitchZones { limits: None });
    for finding in diagnose(&snapshot).iter().filter(|finding| finding.severity > Severity::Info) {
        assert!(!finding.remedies.is_empty() && !finding.evidence.is_empty(), "{finding:?}");
        assert!(!finding.title.is_empty() && finding.meaning.ends_with('.'), "{finding:?}");
    }
}
