//! Writers on small trees of a test's own.

use std::collections::BTreeMap;

use plimsoll_model::{Becomes, Effect, Order, Presence, Sysctl, TcpState, Timeout, Writer, WriterKind, Written};

use crate::testing::Tree;
use crate::{Error, Partial};

/// A machine's own tree with four processors.
fn machine() -> Tree {
    let tree = Tree::new();
    tree.be_the_hosts();
    tree.write("sys/devices/system/cpu/online", "0-3\n");
    tree
}

fn writers(tree: &Tree) -> Partial<Vec<Writer>> {
    let me = rustix::process::getuid().as_raw();
    tree.host().writers_trusting(&(me..me + 1))
}

/// The one writer that there is.
#[track_caller]
fn only(tree: &Tree) -> Writer {
    let mut found = writers(tree);
    assert!(found.errors.is_empty() && found.read.len() == 1, "{found:?}");
    found.read.remove(0)
}

/// What it sets: by which rule, and where it has that from.
fn sets(writer: &Writer) -> Vec<(Sysctl, Written, &str)> {
    let set = |effect: &Effect| match effect {
        Effect::Sets { sysctl, value, from, .. } => Some((*sysctl, value.clone(), from.to_string())),
        _ => None,
    };
    writer.effects.iter().filter_map(set).map(|(sysctl, value, from)| (sysctl, value, &*from.leak())).collect()
}

fn established() -> Sysctl {
    Sysctl::of_timeout(Timeout::Tcp(TcpState::Established)).unwrap()
}

fn close_wait() -> Sysctl {
    Sysctl::of_timeout(Timeout::Tcp(TcpState::CloseWait)).unwrap()
}

fn udp() -> Sysctl {
    Sysctl::of_timeout(Timeout::Udp).unwrap()
}

const fn by_version(value: u32) -> Written {
    Written::ByVersion { newest: value, older: value }
}

fn kube_proxy(tree: &Tree, arguments: &str) {
    tree.write("proc/12/comm", "kube-proxy\n");
    tree.write("proc/12/cmdline", arguments.replace(' ', "\0") + "\0");
}

#[test]
fn nobody_is_there() {
    let found = writers(&machine());
    assert!(found.read.is_empty() && found.errors.is_empty(), "{found:?}");
}

#[test]
fn kube_proxy_has_defaults() {
    let tree = machine();
    kube_proxy(&tree, "/usr/local/bin/kube-proxy --hostname-override=x");
    let writer = only(&tree);
    assert_eq!((writer.kind, &writer.presence), (WriterKind::KubeProxy, &Presence::Running { pid: 12 }));
    assert_eq!(
        sets(&writer),
        [
            (Sysctl::CAPACITY, by_version(131_072), "its defaults"),
            (Sysctl::BUCKETS, Written::AtLeast { value: 32_768 }, "its defaults"),
            (established(), by_version(86_400), "its defaults"),
            (close_wait(), by_version(3600), "its defaults"),
        ]
    );
    // More processors than four times as many entries need; and so many that recent versions stop at a million.
    tree.write("sys/devices/system/cpu/online", "0-7\n");
    assert_eq!(sets(&only(&tree))[0].1, by_version(262_144));
    tree.write("sys/devices/system/cpu/online", "0-127\n");
    assert_eq!(sets(&only(&tree))[0].1, Written::ByVersion { newest: 1_048_576, older: 4_194_304 });
}

#[test]
fn kube_proxy_is_told_by_flags() {
    let tree = machine();
    kube_proxy(
        &tree,
        "kube-proxy --conntrack-max-per-core=0 --conntrack-tcp-timeout-established 1h --conntrack-tcp-timeout-close-wait=0s \
         --conntrack-udp-timeout=10s --conntrack-tcp-be-liberal --v=2",
    );
    assert_eq!(
        sets(&only(&tree)),
        [
            (established(), by_version(3600), "--conntrack-tcp-timeout-established"),
            (udp(), by_version(10), "--conntrack-udp-timeout"),
            (Sysctl::TCP_BE_LIBERAL, Written::Exactly { value: 1 }, "--conntrack-tcp-be-liberal"),
        ]
    );
    kube_proxy(&tree, "kube-proxy --conntrack_max_per_core=0 --conntrack_tcp_be_liberal=T --conntrack-minimum=5");
    assert_eq!(
        sets(&only(&tree))[2],
        (Sysctl::TCP_BE_LIBERAL, Written::Exactly { value: 1 }, "--conntrack-tcp-be-liberal")
    );
    kube_proxy(&tree, "kube-proxy --conntrack-max-per-core=many");
    assert_eq!(
        sets(&only(&tree))[0],
        (Sysctl::CAPACITY, Written::Unclear { text: "many".into() }, "--conntrack-max-per-core")
    );
}

#[test]
fn kube_proxy_is_told_by_the_file_that_it_sees() {
    let tree = machine();
    kube_proxy(&tree, "kube-proxy --config=/var/lib/kube-proxy/config.conf --conntrack-max-per-core=0");
    tree.write(
        "proc/12/root/var/lib/kube-proxy/config.conf",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nconntrack:\n  # ours\n  maxPerCore: 1 # of many\n\n  min: \"524288\"\n  \
         tcpCloseWaitTimeout: null\n  tcpEstablishedTimeout: 0s\n  tcpBeLiberal: true\niptables:\n  min: 7\n",
    );
    let file = "/var/lib/kube-proxy/config.conf";
    assert_eq!(
        sets(&only(&tree)),
        [
            (Sysctl::CAPACITY, by_version(524_288), file),
            (Sysctl::BUCKETS, Written::AtLeast { value: 131_072 }, file),
            (close_wait(), by_version(3600), "its defaults"),
            (Sysctl::TCP_BE_LIBERAL, Written::Exactly { value: 1 }, file),
        ]
    );
    tree.write(
        "proc/12/root/var/lib/kube-proxy/config.conf",
        "---\n\"conntrack\":\n    \"maxPerCore\":   0\n    'tcpBeLiberal': yes\n    udpTimeout: \"1m\"\nmode: \"\"\n",
    );
    let writer = only(&tree);
    assert_eq!(
        sets(&writer)[2..],
        [(udp(), by_version(60), file), (Sysctl::TCP_BE_LIBERAL, Written::Exactly { value: 1 }, file)]
    );
    // What kube-proxy 1.30.5 writes itself, with `--write-config-to`.
    tree.write("proc/12/root/var/lib/kube-proxy/config.conf", include_str!("../../tests/fixtures/kube-proxy.conf"));
    assert_eq!(
        sets(&only(&tree)),
        [
            (Sysctl::CAPACITY, by_version(131_072), file),
            (Sysctl::BUCKETS, Written::AtLeast { value: 32_768 }, file),
            (established(), by_version(86_400), file),
            (close_wait(), by_version(3600), file),
        ]
    );
    for not_understood in ["{\"conntrack\": {}}", "conntrack: {min: 1}"] {
        tree.write("proc/12/root/var/lib/kube-proxy/config.conf", not_understood);
        let found = writers(&tree);
        assert!(found.read.is_empty() && matches!(found.errors[..], [Error::Malformed { .. }]), "{found:?}");
    }
}

/// What kube-proxy 1.30.5 itself did in a guest (`tests/fixtures/README.md`): it set what is said of it, to that value, and nothing else.
#[test]
fn kube_proxy_does_what_is_said_of_it() {
    let tree = machine();
    tree.write("sys/devices/system/cpu/online", "0-1\n");
    tree.write("proc/12/comm", "kube-proxy\n");
    tree.write("proc/12/root/etc/kube-proxy.yaml", include_str!("../../../rules/tests/kube-proxy/configuration.yaml"));
    for (told, from) in [("defaults", "its defaults"), ("flags", "--conntrack-"), ("file", "/etc/kube-proxy.yaml")] {
        let captured = |file: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kube-proxy");
            std::fs::read_to_string(format!("{folder}/{told}/{file}")).unwrap()
        };
        let values = |file: &str| -> BTreeMap<String, u32> {
            let text = captured(file);
            let lines = text.lines().map(|line| line.split_once(' ').unwrap());
            lines.map(|(name, value)| (name.to_string(), value.parse().unwrap())).collect()
        };
        tree.write("proc/12/cmdline", captured("cmdline"));
        let writer = only(&tree);
        let mut foretold = values("before");
        for (sysctl, value, by) in sets(&writer) {
            assert!(by.starts_with(from), "{sysctl:?} {by}");
            let now = foretold.get_mut(sysctl.name()).unwrap();
            match value.becomes(*now) {
                Some(Becomes::Surely { value } | Becomes::Perhaps { value: Some(value) }) => *now = value,
                // It is enough already.
                None => {}
                other => panic!("{sysctl:?}: {other:?}"),
            }
        }
        let after = values("after");
        assert_eq!(foretold, after, "{told}");
        assert_ne!(values("before"), after);
    }
}

#[test]
fn anybody_may_call_a_process_kube_proxy() {
    let tree = machine();
    kube_proxy(&tree, "kube-proxy");
    let me = rustix::process::getuid().as_raw();
    assert_eq!(tree.host().writers_trusting(&(me + 1..me + 2)).read, []);
}

#[test]
fn k3s_has_one_within() {
    let tree = machine();
    tree.write("proc/7/comm", "k3s-server\n");
    let writer = only(&tree);
    assert_eq!(writer.kind, WriterKind::KubeProxy);
    assert!(sets(&writer).iter().all(|(_, value, _)| matches!(value, Written::Unclear { .. })));
    assert_eq!(sets(&writer).len(), 3);
}

#[test]
fn tuned_sets_what_its_profile_and_those_included_say() {
    let tree = machine();
    tree.write("proc/9/comm", "tuned\n");
    tree.write("etc/tuned/active_profile", "mine\n");
    tree.write(
        "etc/tuned/mine/tuned.conf",
        "[main]\ninclude=base, missing\n[sysctl]\nnet.netfilter.nf_conntrack_max=>600000\n",
    );
    tree.write(
        "usr/lib/tuned/base/tuned.conf",
        "[sysctl]\nvm.swappiness=1\nnet.nf_conntrack_max=5\nnet.netfilter.nf_conntrack_udp_timeout = ${x}\n[other]\ntype=sysctl\n\
         net.netfilter.nf_conntrack_tcp_timeout_close_wait=\"15\"\n[vm]\nnet.ipv4.tcp_syncookies=0\n",
    );
    // It is hidden by the one in /etc.
    tree.write("usr/lib/tuned/mine/tuned.conf", "[sysctl]\nnet.ipv4.tcp_syncookies=2\n");
    let writer = only(&tree);
    let base = "/usr/lib/tuned/base/tuned.conf";
    let expected = [
        (Sysctl::CAPACITY, Written::AtLeast { value: 600_000 }, "/etc/tuned/mine/tuned.conf"),
        (close_wait(), Written::Exactly { value: 15 }, base),
        (udp(), Written::Unclear { text: "${x}".into() }, base),
    ];
    let found = sets(&writer);
    assert!(expected.iter().all(|set| found.contains(set)) && found.len() == 3, "{found:?}");
    let order = |writer: &Writer| match writer.effects[0] {
        Effect::Sets { order, .. } => order,
        _ => panic!("{writer:?}"),
    };
    assert_eq!(order(&writer), Order::ThenFilesOfEtc);
    assert_eq!(tree.host().tuned_profile().unwrap().unwrap().as_str(), "mine");

    tree.write("etc/tuned/tuned-main.conf", "daemon = 1\nreapply_sysctl = 0\n");
    tree.remove("proc/9/comm");
    let writer = only(&tree);
    assert_eq!(order(&writer), Order::Last);
    assert_eq!(writer.presence, Presence::Installed { file: "/etc/tuned/active_profile".into() });
}

/// As tuned's own profile `openshift` is laid out.
#[test]
fn a_profile_that_includes_what_tuned_works_out_is_told_as_far_as_it_goes() {
    let tree = machine();
    tree.write("etc/tuned/active_profile", "shift\n");
    tree.write(
        "usr/lib/tuned/shift/tuned.conf",
        "[main]\ninclude=${f:virt_check:guest:host}\n[net]\nnf_conntrack_hashsize=1048576\n[sysctl]\nkernel.pid_max=>5\n\
         net.netfilter.nf_conntrack_max=1048576\n",
    );
    let found = writers(&tree);
    let file = "/usr/lib/tuned/shift/tuned.conf";
    let million = Written::Exactly { value: 1_048_576 };
    assert_eq!(sets(&found.read[0]), [(Sysctl::BUCKETS, million.clone(), file), (Sysctl::CAPACITY, million, file)]);
    assert!(matches!(found.errors[..], [Error::Malformed { .. }]), "{found:?}");
}

#[test]
fn a_profile_that_includes_itself_ends() {
    let tree = machine();
    tree.write("etc/tuned/active_profile", "loop ../../etc");
    tree.write("etc/tuned/loop/tuned.conf", "[main]\ninclude=loop\n");
    let found = writers(&tree);
    assert!(found.read.is_empty() && found.errors.len() == 1, "{found:?}");
}

#[test]
fn ufw_has_a_file_of_its_own() {
    let tree = machine();
    tree.write("etc/ufw/ufw.conf", "ENABLED=yes\n");
    tree.write("etc/default/ufw", "IPT_SYSCTL=/etc/ufw/sysctl.conf\nIPT_MODULES=\"\"\n");
    tree.write("etc/ufw/sysctl.conf", "net/ipv4/tcp_syncookies=0\n#net/ipv4/x=1\nnet/netfilter/nf_conntrack_max=abc\n");
    let writer = only(&tree);
    assert_eq!(writer.presence, Presence::Enabled { file: "/etc/ufw/ufw.conf".into() });
    assert_eq!(writer.effects[0], Effect::LoadsModule);
    let file = "/etc/ufw/sysctl.conf";
    assert_eq!(
        sets(&writer),
        [
            (Sysctl::SYNCOOKIES, Written::Exactly { value: 0 }, file),
            (Sysctl::CAPACITY, Written::Unclear { text: "abc".into() }, file)
        ]
    );
    tree.write("etc/ufw/ufw.conf", "ENABLED=no\n");
    assert!(matches!(only(&tree).presence, Presence::Installed { .. }));
}

#[test]
fn firewalld_may_unload_the_module() {
    let tree = machine();
    tree.write(
        "etc/firewalld/firewalld.conf",
        "# CleanupModulesOnExit=yes\nCleanupModulesOnExit=no\nAutomaticHelpers=system\n",
    );
    assert_eq!(only(&tree).effects, [Effect::LoadsModule]);
    tree.write("proc/3/comm", "firewalld\n");
    tree.write("etc/firewalld/firewalld.conf", "CleanupModulesOnExit=yes\nAutomaticHelpers=no\n");
    let writer = only(&tree);
    assert_eq!(writer.presence, Presence::Running { pid: 3 });
    assert_eq!(writer.effects[1], Effect::UnloadsModule { from: "/etc/firewalld/firewalld.conf".into() });
    assert_eq!(sets(&writer), [(Sysctl::HELPER, Written::Exactly { value: 0 }, "/etc/firewalld/firewalld.conf")]);
}

#[test]
fn docker_and_nftables_are_told_for_what_they_do() {
    let tree = machine();
    tree.write("proc/5/comm", "dockerd\n");
    assert_eq!(only(&tree).effects, [Effect::LoadsModule]);
    tree.remove("proc/5/comm");

    tree.write("etc/nftables.conf", "#!/usr/sbin/nft -f\ntable inet x { }\n");
    assert_eq!(writers(&tree).read, []);
    tree.write("etc/nftables.conf", "#!/usr/sbin/nft -f\n\nflush  ruleset\n");
    assert!(matches!(only(&tree).presence, Presence::Installed { .. }));
    tree.link("etc/systemd/system/sysinit.target.wants/nftables.service", "/lib/systemd/system/nftables.service");
    let writer = only(&tree);
    assert!(matches!(writer.presence, Presence::Enabled { .. }));
    assert_eq!(writer.effects[1], Effect::FlushesRules { from: "/etc/nftables.conf".into() });
}

#[test]
fn files_that_are_not_the_hosts_tell_nothing() {
    let tree = Tree::new();
    tree.write("etc/ufw/ufw.conf", "ENABLED=yes\n");
    tree.write("proc/5/comm", "dockerd\n");
    let found = writers(&tree);
    assert_eq!((found.read.len(), found.errors.len()), (1, 1), "{found:?}");
}

#[test]
fn hostile_files_do_no_harm() {
    let tree = machine();
    for content in [
        &b"\xff=\xfe\n\0=\0\n===\n[\n]\n[]\n"[..],
        b"conntrack:\n  min:\n :\n  : \xff\n",
        b"[sysctl]\nnet.nf_conntrack_max=\x1b[2J\n",
    ] {
        for path in [
            "etc/ufw/ufw.conf",
            "etc/default/ufw",
            "etc/firewalld/firewalld.conf",
            "etc/nftables.conf",
            "etc/tuned/active_profile",
            "etc/tuned/x/tuned.conf",
            "proc/12/cmdline",
            "proc/12/root/x",
        ] {
            tree.write(path, content);
        }
        tree.write("proc/12/comm", "kube-proxy\n");
        assert!(writers(&tree).read.len() <= 6);
        tree.write("etc/tuned/active_profile", "x");
        kube_proxy(&tree, "kube-proxy --config=/x");
        let shown = format!("{:?}", writers(&tree));
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}
