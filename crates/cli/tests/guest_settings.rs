//! Whether settings last: boots of Debian's stock 6.1 kernel in QEMU with the files that are rendered, read by Debian's own
//! kmod, systemd-modules-load, systemd-sysctl and systemd-udevd. There is no systemd that starts them: the scripts do, in the order
//! of its units (systemd-modules-load.service, then systemd-sysctl.service). Needs what scripts/test installs, and no right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_guest::{Guest, Transcript};
use plimsoll_model::{Buckets, Capacity, Edit, Limits, ModuleState, Sysctl, TcpState, Timeout};
use plimsoll_render::{Format, Place, Reasoned, Rendered, Target, lasting, render};

/// What the scripts share. Of the programs, those of systemd lie where Debian has them.
const SETTINGS: &str = r#"
mkdir -p /etc/sysctl.d /etc/modprobe.d /etc/modules-load.d /etc/udev/rules.d /usr/lib/systemd /usr/lib/sysctl.d
ln -s /bin/systemd-sysctl /usr/lib/systemd/systemd-sysctl

# What systemd does at boot.
early() {
    systemd-modules-load
    systemd-sysctl
}

# Whatever needs the module first: a firewall, a container runtime. kmod's modprobe, not busybox's.
late() { /bin/modprobe nf_conntrack; }

start_udevd() {
    /bin/systemd-udevd --daemon
}

# Returns when udevd has done with the event of the module that was loaded last.
await_udevd() {
    /bin/udevadm settle --timeout=60
}

value() { cat "/proc/sys/net/netfilter/nf_conntrack_$1"; }
"#;

fn guest() -> Guest {
    let programs = [
        "/usr/sbin/modprobe",
        "/usr/lib/systemd/systemd-modules-load",
        "/usr/lib/systemd/systemd-sysctl",
        "/usr/lib/systemd/systemd-udevd",
        "/usr/bin/udevadm",
    ];
    programs.into_iter().fold(support::guest::guest(), Guest::program)
}

fn run(guest: &Guest, script: &str) -> Transcript {
    support::guest::run(guest, &format!("{SETTINGS}\n{script}"))
}

fn number(transcript: &Transcript, step: &str) -> u32 {
    let step = transcript.step(step).unwrap();
    step.output.trim().parse().unwrap_or_else(|error| panic!("{error}: {step:?}"))
}

const TIME_WAIT: Timeout = Timeout::Tcp(TcpState::TimeWait);

fn setting(sysctl: Sysctl, from: u32, to: u32) -> Reasoned {
    Reasoned { edit: Edit::Sysctl { sysctl, from, to }, why: "As a test would have it.".to_string() }
}

fn plan() -> Vec<Reasoned> {
    vec![
        setting(Sysctl::BUCKETS, 8192, 16_384),
        setting(Sysctl::CAPACITY, 8192, 50_000),
        setting(Sysctl::of_timeout(TIME_WAIT).unwrap(), 120, 30),
    ]
}

fn target() -> Target {
    Target {
        module: ModuleState::Loaded,
        place: Place::Host,
        limits: Limits { capacity: Some(Capacity(8192)), buckets: Some(Buckets(8192)), expect_max: None },
        tuned_profile: None,
    }
}

/// Lays rendered files below a folder, from where a script copies them to their places.
fn with(guest: Guest, folder: &str, rendered: &Rendered) -> Guest {
    rendered
        .files
        .iter()
        .fold(guest, |guest, file| guest.file(format!("{folder}{}", file.path.expect("a place")), file.text.as_bytes()))
}

/// What a machine has after it has booted.
const VALUES: &str = "
    step capacity value max
    step buckets value buckets
    step time-wait value tcp_timeout_time_wait
    ";

fn values(transcript: &Transcript) -> (u32, u32, u32) {
    (number(transcript, "capacity"), number(transcript, "buckets"), number(transcript, "time-wait"))
}

const PLANNED: (u32, u32, u32) = (50_000, 16_384, 30);

#[test]
fn settings_are_there_after_a_reboot_and_after_the_next() {
    let guest = with(guest(), "/planned", &lasting(&plan(), &target()));
    let first = run(&guest, &format!("early\nlate\n{VALUES}\ncp -r /planned/etc /\nkeep /etc"));
    let (capacity, _, time_wait) = values(&first);
    assert!(capacity != PLANNED.0 && time_wait == 120, "what the kernel chooses: {:?}", values(&first));

    let boot = format!("early\n{VALUES}\nstep check check --interval 0\nkeep /etc");
    let second = run(&guest.after(&first), &boot);
    assert_eq!(values(&second), PLANNED);
    let document: serde_json::Value = serde_json::from_str(&second.step("check").unwrap().output).unwrap();
    assert!(support::finding(&document, "settings-not-persistent").is_null(), "{document:#}");
    assert_eq!(values(&run(&guest.after(&second), &boot)), PLANNED);
}

/// A file of sysctl.d alone comes too early; with the udev rule it is read again, however late the module is, and however
/// often.
#[test]
fn a_module_that_is_loaded_late_gets_its_settings_by_the_udev_rule() {
    let sysctl_d = with(guest(), "", &render(Format::SysctlD, &plan(), &target()));
    let alone = run(&sysctl_d, &format!("start_udevd\nearly\nlate\nawait_udevd\n{VALUES}"));
    assert_ne!(values(&alone), PLANNED, "nobody reads the file again");
    assert_eq!(number(&alone, "time-wait"), 120);

    let ruled = with(sysctl_d, "", &render(Format::Udev, &plan(), &target()));
    let again = "rmmod nf_conntrack\nlate\nawait_udevd";
    let twice = run(&ruled, &format!("start_udevd\nearly\nlate\nawait_udevd\nstep first value max\n{again}\n{VALUES}"));
    assert_eq!(number(&twice, "first"), PLANNED.0);
    assert_eq!(values(&twice), PLANNED, "a module that comes back");
}

#[test]
fn a_hash_size_makes_the_limit_eight_times_as_large_until_sysctl_d_sets_it() {
    let rendered = render(Format::ModprobeD, &plan()[..1], &target());
    let options = Rendered { files: rendered.files[..1].to_vec(), left_out: Vec::new() };
    let alone = with(guest(), "", &options);
    let transcript = run(&alone, &format!("early\nlate\n{VALUES}"));
    assert_eq!(values(&transcript), (8 * 16_384, 16_384, 120));

    // The limit that was in force when the plan was made.
    let both = with(with(guest(), "", &rendered), "", &render(Format::ModulesLoadD, &[], &target()));
    assert_eq!(values(&run(&both, &format!("early\n{VALUES}"))), (8192, 16_384, 120));
}

/// modprobe takes what the command line says after what files say.
#[test]
fn the_command_line_outranks_modprobe_d() {
    let options = guest().file("/etc/modprobe.d/other.conf", "options nf_conntrack hashsize=1000\n");
    let text = render(Format::CommandLine, &plan(), &target()).to_string();
    let word = text.split_whitespace().find(|word| word.starts_with("nf_conntrack.hashsize=")).unwrap();
    let word = word.trim_end_matches(['"', '/']);
    for (guest, expected) in [(options.clone(), (8192, 1024)), (options.command_line(word), (8 * 16_384, 16_384))] {
        let transcript = run(&guest, &format!("late\n{VALUES}"));
        assert_eq!((number(&transcript, "capacity"), number(&transcript, "buckets")), expected);
    }
}

/// Names decide, whatever the folder; and a file of /etc hides one of the same name.
#[test]
fn the_last_file_by_name_wins() {
    let planned = with(guest(), "", &lasting(&plan(), &target()));
    let with_file = |path: &str, value: u32| {
        planned.clone().file(path, format!("net.netfilter.nf_conntrack_max = {value}\n").into_bytes())
    };
    for (path, expected) in [
        ("/etc/sysctl.d/10-other.conf", 50_000),
        ("/etc/sysctl.d/99-other.conf", 1111),
        ("/usr/lib/sysctl.d/99-vendor.conf", 1111),
        ("/usr/lib/sysctl.d/90-plimsoll.conf", 50_000),
        // Without a link to it, systemd does not read it.
        ("/etc/sysctl.conf", 50_000),
    ] {
        let transcript = run(&with_file(path, 1111), "early\nstep capacity value max");
        assert_eq!(number(&transcript, "capacity"), expected, "{path}");
    }
}

/// What kube-proxy itself did with its defaults on two processors (`crates/host/tests/fixtures`).
const BEFORE: &str = include_str!("../../host/tests/fixtures/kube-proxy/defaults/before");
const AFTER: &str = include_str!("../../host/tests/fixtures/kube-proxy/defaults/after");
const COMMAND_LINE: &str = include_str!("../../host/tests/fixtures/kube-proxy/defaults/cmdline");

/// Writes what it did, and stays.
const KUBE_PROXY: &str = r#"#!/bin/perl
open my $lines, "<", "/set-by-kube-proxy" or die $!;
while (<$lines>) {
    my ($name, $value) = split;
    open my $file, ">", "/proc/sys/net/netfilter/$name" or die $!;
    print $file $value;
    close $file or die $!;
}
sleep 1000;
"#;

#[test]
fn whoever_writes_later_is_named_and_what_was_applied_has_drifted() {
    let set: Vec<_> = AFTER.lines().filter(|line| !BEFORE.contains(line)).collect();
    let guest = with(guest(), "", &lasting(&plan(), &target())).file("/set-by-kube-proxy", set.join("\n"));
    let arguments = COMMAND_LINE.replace('\0', " ");
    let transcript = run(
        &guest.file("/bin/kube-proxy", KUBE_PROXY),
        &format!(
            "early
            step before value max
            {arguments} &
            until [ \"$(value tcp_timeout_established)\" = 86400 ]; do sleep 1; done
            {VALUES}
            step check check --interval 0
            echo 70000 >/proc/sys/net/netfilter/nf_conntrack_max
            step other check --interval 0"
        ),
    );
    assert_eq!(number(&transcript, "before"), PLANNED.0);
    assert_eq!(values(&transcript).0, 131_072, "it writes last");
    let document =
        |step: &str| -> serde_json::Value { serde_json::from_str(&transcript.step(step).unwrap().output).unwrap() };
    let checked = document("check");
    let writer = &checked["writers"][0];
    assert_eq!((&writer["kind"], &writer["presence"]), (&"kube-proxy".into(), &"running".into()), "{checked:#}");
    let sets = |sysctl: &str| {
        let effects = writer["effects"].as_array().unwrap();
        effects
            .iter()
            .find(|effect| effect["sysctl"] == sysctl)
            .unwrap_or_else(|| panic!("{sysctl}: {writer:#}"))
            .clone()
    };
    assert_eq!(sets("net.netfilter.nf_conntrack_max")["value"]["newest"], 131_072);
    assert_eq!(sets("net.netfilter.nf_conntrack_tcp_timeout_close_wait")["value"]["newest"], 3600);
    let owned = support::finding(&checked, "kube-proxy-owns-setting");
    let told = owned["evidence"][0]["text"].as_str().unwrap_or_else(|| panic!("{checked:#}"));
    assert!(told.starts_with("nf_conntrack_max is 131,072, by kube-proxy (process "), "{owned:#}");
    assert!(told.contains(" (its defaults); /etc/sysctl.d/") && told.ends_with(" sets 50,000"), "{owned:#}");
    let id = "settings-not-persistent";
    assert!(support::finding(&checked, id).is_null(), "kube-proxy will set them again: {checked:#}");

    let other = document("other");
    let evidence = support::finding(&other, id)["evidence"].as_array().unwrap();
    let told = evidence.iter().find(|evidence| evidence["key"] == "overwritten_by").expect("who");
    assert!(told["text"].as_str().unwrap().contains("sets net.netfilter.nf_conntrack_max to 131,072"), "{told:#}");

    let applied = [(Sysctl::CAPACITY, PLANNED.0)];
    let drifted = plimsoll_diagnose::drift(&[(Sysctl::CAPACITY, values(&transcript).0)], None, Some(&applied), &[]);
    assert_eq!((drifted[0].kind, drifted[0].applied), (plimsoll_model::DriftKind::SetSince, Some(PLANNED.0)));
}

/// Values that hold for the whole host, which nothing but a guest may change. The limit does not go back below the entries.
#[test]
fn a_script_sets_the_hosts_limits_and_holds_the_capacity_while_it_is_needed() {
    let script = render(Format::Script, &plan(), &Target { limits: Limits::default(), ..target() });
    let guest = guest().file("/plan.sh", script.files[0].text.as_bytes()).module("nf_conntrack");
    let transcript = run(
        &guest,
        &format!(
            "/bin/modprobe nf_conntrack_netlink
            set_buckets 8192
            set_max 8192
            step apply sh /plan.sh
            {VALUES}
            track
            send-udp 127.0.0.1 1 8000
            step held sh /plan.sh revert
            step held-capacity value max
            conntrack -F
            step revert sh /plan.sh revert
            step after value max
            step after-buckets value buckets
            step after-time-wait value tcp_timeout_time_wait"
        ),
    );
    assert_eq!(values(&transcript), PLANNED);
    let held = transcript.step("held").unwrap();
    assert_eq!((held.exit_code, number(&transcript, "held-capacity")), (1, PLANNED.0), "{held:?}");
    let revert = transcript.step("revert").unwrap();
    assert_eq!(revert.exit_code, 0, "{revert:?}");
    let after = ["after", "after-buckets", "after-time-wait"].map(|step| number(&transcript, step));
    assert_eq!(after, [8192, 8192, 120]);
}

/// The whole way: applied at runtime, confirmed, and there after the next boot, with the module loaded early by a file and, where
/// that file is gone, late.
#[test]
fn what_was_confirmed_is_there_after_a_reboot() {
    let apply = "plimsoll apply --soak 0 --set nf_conntrack_buckets=16384 --set nf_conntrack_max=50000 \
                 --set nf_conntrack_tcp_timeout_time_wait=30";
    let script = format!(
        "modprobe nf_conntrack_netlink\ntrack\n{apply}\nstep confirmed plimsoll confirm\n{VALUES}\nkeep /etc /var/lib/plimsoll"
    );
    let first = run(&guest(), &script);
    let confirmed = first.step("confirmed").unwrap();
    assert_eq!((confirmed.exit_code, values(&first)), (0, PLANNED), "{confirmed:?}");
    for file in ["sysctl.d/90-plimsoll.conf", "modules-load.d/90-plimsoll.conf", "udev/rules.d/90-plimsoll.rules"] {
        assert!(confirmed.output.contains(&format!("Written: /etc/{file}")), "{confirmed:?}");
    }
    let second = run(
        &guest().after(&first),
        &format!("start_udevd\nearly\nawait_udevd\n{VALUES}\nstep drift plimsoll plan --check-drift"),
    );
    assert_eq!(values(&second), PLANNED);
    assert_eq!(second.step("drift").unwrap().exit_code, 0, "{:?}", second.step("drift"));
    // Rolled back, the files are gone; what another boot has in force is not touched.
    let undo = format!(
        "start_udevd\nearly\nawait_udevd\nstep back plimsoll rollback\nstep left find /etc -name '*plimsoll*'\n{VALUES}"
    );
    let third = run(&guest().after(&first), &undo);
    assert_eq!(third.step("left").unwrap().output.trim(), "", "{:?}", third.step("back"));
    assert_eq!(values(&third), PLANNED);
}
