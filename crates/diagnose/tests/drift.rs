//! Who overwrites what, and which values have gone away from what was meant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_diagnose::{diagnose, drift, drift_in_words, drift_report, in_force, overwrite_in_words, overwritten};
use plimsoll_model::{
    Becomes, Capacity, Drift, DriftKind, Edit, Effect, Finding, FindingId, Lasting, NamedBy, OWN_SYSCTL_FILE, Order,
    PolicyProtocol, Presence, ServicePolicy, SettingInFile, Severity, Snapshot, Suspect, Sysctl, TcpState, Timeout,
    Timeouts, When, Writer, WriterKind, Written,
};

use crate::support::host;

fn time_wait() -> Sysctl {
    Sysctl::of_timeout(Timeout::Tcp(TcpState::TimeWait)).unwrap()
}

fn edit(sysctl: Sysctl, to: u32) -> Edit {
    Edit::Sysctl { sysctl, from: 1, to }
}

fn sets(sysctl: Sysctl, value: Written, order: Order) -> Effect {
    Effect::Sets { sysctl, value, from: "its flags".into(), order }
}

fn kube_proxy(newest: u32, older: u32) -> Writer {
    let effects = vec![sets(Sysctl::CAPACITY, Written::ByVersion { newest, older }, Order::Last)];
    Writer { kind: WriterKind::KubeProxy, presence: Presence::Running { pid: 12 }, effects }
}

fn file(name: &str, value: &str, file: &str) -> SettingInFile {
    SettingInFile { name: name.into(), value: value.into(), file: file.into() }
}

fn lasting(settings: &[SettingInFile]) -> Lasting {
    Lasting { sysctl: settings.to_vec(), hashsize: None, loaded_by: Some("/etc/modules-load.d/x.conf".into()) }
}

const MAX: &str = "net.netfilter.nf_conntrack_max";

#[test]
fn kube_proxy_writes_last() {
    let told = |to| overwritten(&edit(Sysctl::CAPACITY, to), &[kube_proxy(131_072, 131_072)], &Lasting::default());
    let lower = told(100_000);
    assert_eq!((lower[0].becomes, lower[0].when), (Some(Becomes::Surely { value: 131_072 }), When::Start));
    assert_eq!(
        overwrite_in_words(&lower[0]),
        "kube-proxy (process 12) (by its flags) sets net.netfilter.nf_conntrack_max to 131,072 each time it starts, which at boot \
         is after files of sysctl.d are read"
    );
    assert_eq!(told(524_288)[0].becomes, Some(Becomes::Perhaps { value: Some(131_072) }), "recent versions lower it");
    assert_eq!(told(131_072), []);
    assert_eq!(overwritten(&edit(time_wait(), 30), &[kube_proxy(1, 1)], &Lasting::default()), []);
}

#[test]
fn a_file_that_is_read_after_ours_wins() {
    let by = |path: &str, value: &str| {
        let lasting = lasting(&[file(MAX, "5", OWN_SYSCTL_FILE), file("net.nf_conntrack_max", value, path)]);
        overwritten(&edit(Sysctl::CAPACITY, 524_288), &[], &lasting)
    };
    for later in [
        "/etc/sysctl.d/99-x.conf",
        "/usr/lib/sysctl.d/91-a.conf",
        "/etc/sysctl.conf",
        "/etc/sysctl.d/999-sysctl-aks.conf",
    ] {
        let told = by(later, "7");
        assert_eq!((told[0].by.as_str(), told[0].becomes), (later, Some(Becomes::Surely { value: 7 })));
        assert_eq!(told[0].when, When::Boot);
    }
    for earlier in ["/etc/sysctl.d/10-x.conf", "/usr/lib/sysctl.d/90-a.conf", "/proc/cmdline"] {
        assert_eq!(by(earlier, "7"), [], "{earlier}");
    }
    assert_eq!(by("/etc/sysctl.d/99-x.conf", "524288"), [], "it says the same");
    assert_eq!(by("/etc/sysctl.d/99-x.conf", "many")[0].becomes, Some(Becomes::Perhaps { value: None }));
    assert!(overwrite_in_words(&by("/etc/sysctl.d/999-sysctl-aks.conf", "7")[0]).contains("AKS"));
}

#[test]
fn tuned_yields_to_our_file_if_it_reads_it_again() {
    let tuned = |order| Writer {
        kind: WriterKind::Tuned,
        presence: Presence::Installed { file: "/etc/tuned/active_profile".into() },
        effects: vec![sets(Sysctl::CAPACITY, Written::Exactly { value: 7 }, order)],
    };
    let told = |order| overwritten(&edit(Sysctl::CAPACITY, 5), &[tuned(order)], &Lasting::default());
    assert_eq!(told(Order::Last)[0].becomes, Some(Becomes::Surely { value: 7 }));
    assert_eq!(told(Order::Last)[0].when, When::IfStarted);
    let again = &told(Order::ThenFilesOfEtc)[0];
    assert_eq!(again.becomes, Some(Becomes::Perhaps { value: Some(7) }));
    assert!(overwrite_in_words(again).contains("unless /etc/sysctl.d/90-plimsoll.conf says otherwise"));
}

#[test]
fn rules_go_with_the_ruleset_and_values_with_the_module() {
    let writer = |kind, effect| Writer { kind, presence: Presence::Running { pid: 1 }, effects: vec![effect] };
    let nftables = writer(WriterKind::Nftables, Effect::FlushesRules { from: "/etc/nftables.conf".into() });
    let firewalld = writer(WriterKind::Firewalld, Effect::UnloadsModule { from: "/x".into() });
    let docker = writer(WriterKind::Docker, Effect::LoadsModule);
    let writers = [nftables, firewalld, docker];
    let policy = Edit::Policy(ServicePolicy { protocol: PolicyProtocol::Tcp, port: 443, timeouts: Vec::new() });
    let [rules] = &overwritten(&policy, &writers, &Lasting::default())[..] else { panic!("the rules") };
    assert!(overwrite_in_words(rules).contains("removes the rules each time it starts"));
    let [value] = &overwritten(&edit(time_wait(), 30), &writers, &Lasting::default())[..] else { panic!("the value") };
    assert_eq!(value.when, When::Stop);
    assert!(overwrite_in_words(value).contains("unloads nf_conntrack when it stops"));
}

/// What is told of the limit alone.
fn of_max(in_force: u32, lasting: Option<&Lasting>, applied: Option<u32>, writers: &[Writer]) -> Option<Drift> {
    let applied = applied.map(|applied| [(Sysctl::CAPACITY, applied)]);
    let applied = applied.as_ref().map(<[_; 1]>::as_slice);
    drift(&[(Sysctl::CAPACITY, in_force)], lasting, applied, writers).pop()
}

#[test]
fn values_are_compared_with_what_was_applied_and_with_files() {
    let kind =
        |in_force, files: Option<&Lasting>, applied| of_max(in_force, files, applied, &[]).map(|drift| drift.kind);
    let seven = lasting(&[file(MAX, "5", "/a"), file(MAX, "7", "/b")]);
    let silent = lasting(&[]);
    assert_eq!(kind(7, Some(&seven), Some(7)), None);
    assert_eq!(kind(6, Some(&seven), Some(7)), Some(DriftKind::SetSince));
    assert_eq!(kind(6, Some(&seven), Some(6)), Some(DriftKind::NotLasting));
    assert_eq!(kind(6, Some(&silent), Some(6)), Some(DriftKind::NotLasting));
    assert_eq!(kind(6, None, Some(6)), None, "files could not be read");
    assert_eq!(kind(6, None, Some(7)), Some(DriftKind::SetSince));
    assert_eq!(kind(6, Some(&seven), None), Some(DriftKind::NotInForce));
    assert_eq!(kind(7, Some(&seven), None), None);
    assert_eq!(kind(6, Some(&silent), None), None);
    // Back to what the kernel begins with: no file is needed for that.
    let compiled_in = drift(&[(time_wait(), 120)], Some(&silent), Some(&[(time_wait(), 120)]), &[]);
    assert_eq!(compiled_in, []);
}

#[test]
fn a_report_has_the_worst_first() {
    let files = lasting(&[file(MAX, "7", "/b")]);
    let in_force = [(Sysctl::CAPACITY, 6), (time_wait(), 30), (Sysctl::TCP_LOOSE, 0)];
    let applied = [(time_wait(), 30), (Sysctl::TCP_LOOSE, 1)];
    assert_eq!(
        drift_report(&drift(&in_force, Some(&files), Some(&applied), &[])),
        "Set by somebody else since it was applied:\n  nf_conntrack_tcp_loose is 0; 1 was applied\n\
         In force as it was applied, until the next boot:\n  nf_conntrack_tcp_timeout_time_wait is 30, as it was applied; no file \
         sets it\nNot what files set, and not applied by a plan:\n  nf_conntrack_max is 6; /b sets 7\n"
    );
    assert!(drift_report(&[]).starts_with("No drift"));
}

#[test]
fn a_hash_size_sets_the_limit_too() {
    let hashsize = |value: &str| Lasting { hashsize: Some(file("hashsize", value, "/m")), ..lasting(&[]) };
    assert_eq!(of_max(8192, Some(&hashsize("1000")), None, &[]), None);
    let told = of_max(5000, Some(&hashsize("1000")), Some(5000), &[]).unwrap();
    assert_eq!((told.kind, told.configured.unwrap().value), (DriftKind::NotLasting, 8192));
    let buckets = [(Sysctl::BUCKETS, 1024)];
    assert_eq!(drift(&buckets, Some(&hashsize("1000")), Some(&buckets), &[]), []);
}

#[test]
fn whoever_sets_the_value_in_force_is_named() {
    let files = lasting(&[file(MAX, "131072", "/etc/sysctl.d/10-a.conf"), file(MAX, "524288", OWN_SYSCTL_FILE)]);
    let told = of_max(131_072, Some(&files), Some(524_288), &[kube_proxy(131_072, 131_072), kube_proxy(7, 7)]).unwrap();
    let writer = Suspect::Writer { name: "kube-proxy (process 12)".into(), from: "its flags".into() };
    assert_eq!(told.suspects, [writer, Suspect::File { file: "/etc/sysctl.d/10-a.conf".into() }]);
    assert_eq!(
        drift_in_words(&told),
        "nf_conntrack_max is 131,072; 524,288 was applied; /etc/sysctl.d/90-plimsoll.conf sets 524,288; kube-proxy (process 12) sets \
         it (by its flags); /etc/sysctl.d/10-a.conf says so"
    );
    let kernels = drift(&[(time_wait(), 120)], None, Some(&[(time_wait(), 30)]), &[]);
    assert_eq!(kernels[0].suspects, [Suspect::Kernel]);
}

/// A host where a limit and a timeout were applied.
fn applied(capacity: u32, time_wait_secs: u32) -> Snapshot {
    let mut snapshot = host();
    snapshot.limits.capacity = Some(Capacity(10_000));
    snapshot.namespaces[0].namespace.named_by = NamedBy::Host;
    snapshot.namespaces[0].timeouts = Timeouts::compiled_defaults();
    snapshot.applied = Some(vec![(Sysctl::CAPACITY, 1), (Sysctl::CAPACITY, capacity), (time_wait(), time_wait_secs)]);
    snapshot
}

fn finding(snapshot: &Snapshot) -> Option<Finding> {
    diagnose(snapshot).into_iter().find(|finding| finding.id == FindingId::Drift)
}

#[test]
fn the_finding_is_of_what_was_applied() {
    assert_eq!(finding(&host()), None, "nothing was");
    assert_eq!(finding(&applied(10_000, 120)), None);
    let timeout = finding(&applied(10_000, 30)).unwrap();
    assert_eq!((timeout.severity, timeout.evidence.len()), (Severity::Info, 1));
    assert_eq!((timeout.evidence[0].key, timeout.evidence[0].value), ("timeout_in_force_secs", Some(120.0)));
    assert!(timeout.remedies.iter().any(
        |remedy| remedy.command.as_deref() == Some("sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30")
    ));

    assert_eq!(finding(&applied(5000, 120)).unwrap().severity, Severity::Info, "somebody has raised it");
    let mut lowered = applied(20_000, 30);
    lowered.writers = vec![kube_proxy(10_000, 10_000)];
    let lowered = finding(&lowered).unwrap();
    assert_eq!((lowered.severity, lowered.evidence.len()), (Severity::Warning, 2));
    assert!(lowered.title.contains("lowered the limit to 10,000"), "{}", lowered.title);
    assert!(lowered.remedies[0].action.contains("kube-proxy (process 12)"), "{:?}", lowered.remedies);
    assert_eq!(finding(&applied(0, 120)).unwrap().severity, Severity::Warning, "there was no limit");
}

#[test]
fn what_is_in_force_is_taken_from_the_hosts_own_namespace() {
    let mut snapshot = applied(10_000, 120);
    assert!(in_force(&snapshot).contains(&(time_wait(), 120)));
    snapshot.namespaces[0].namespace.named_by = NamedBy::Given;
    assert!(!in_force(&snapshot).iter().any(|(sysctl, _)| *sysctl == time_wait()));
}

/// What a program sets at every boot lasts, whatever files say; what it will set otherwise does not.
#[test]
fn settings_that_a_program_sets_last() {
    let persistent = |writers: Vec<Writer>| {
        let mut snapshot = host();
        // Of 16 GiB, the kernel makes 262,144 or 65,536 buckets, and a limit of 262,144.
        snapshot.limits.capacity = Some(Capacity(524_288));
        snapshot.limits.buckets = None;
        snapshot.lasting = Some(lasting(&[]));
        snapshot.writers = writers;
        diagnose(&snapshot).into_iter().find(|finding| finding.id == FindingId::SettingsNotPersistent)
    };
    assert!(persistent(Vec::new()).is_some());
    assert_eq!(persistent(vec![kube_proxy(524_288, 524_288)]), None);
    let installed = Writer { presence: Presence::Installed { file: "/x".into() }, ..kube_proxy(524_288, 524_288) };
    assert!(persistent(vec![installed]).is_some());
    let other = persistent(vec![kube_proxy(600_000, 600_000)]).unwrap();
    assert!(
        other.evidence.iter().any(|evidence| evidence.key == "overwritten_by" && evidence.text.contains("600,000")),
        "{other:?}"
    );
}
