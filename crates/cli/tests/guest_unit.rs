//! The unit as it is packaged, under Debian's own systemd, which is the first process of a guest: started, reloaded, stopped, killed and
//! hung; and with `--govern`, that timeouts come back whatever is killed. Needs what scripts/test installs, and no right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_guest::{Guest, Transcript};
use serde_json::Value;
use support::guest::{guest, output, run};

const UNIT: &str = include_str!("../../../packaging/systemd/plimsoll-watch.service");

/// What the scripts share.
const COMMON: &str = r#"
unit=plimsoll-watch.service
mkdir -p /usr/bin
ln -s /bin/plimsoll /usr/bin/plimsoll
modprobe nf_conntrack_netlink
track

property() { systemctl show --property="$1" --value $unit; }
time_wait() { cat /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait; }
get() { wget -q -O - "http://127.0.0.1:9754$1"; }
restarts() { property NRestarts; }
# restarted_since NUMBER: whether it was restarted since there were so many restarts.
restarted_since() { [ "$(restarts)" -gt "$1" ]; }
says() { journalctl --unit=$unit --output=cat | grep -q -e "$1"; }
serves() { get /metrics | grep -q "^plimsoll_readings_total [1-9]"; }
# drop_in NAME, with its lines on standard input.
drop_in() {
    mkdir -p /etc/systemd/system/$unit.d
    cat >"/etc/systemd/system/$unit.d/$1.conf"
    systemctl daemon-reload
}
"#;

fn machine() -> Guest {
    guest().program("ip").systemd().file("/etc/systemd/system/plimsoll-watch.service", UNIT)
}

fn played(script: &str) -> Transcript {
    run(&machine(), &format!("{COMMON}\n{script}"))
}

#[test]
fn systemd_starts_reloads_restarts_and_stops_the_unit_as_it_is_packaged() {
    let transcript = played(
        r#"
        mkdir -p /run/netns
        /bin/ip netns add before
        step started systemctl start $unit
        step state property ActiveState,SubState,Type
        step status systemctl status --no-pager --full $unit
        await serves
        step healthz get /healthz
        step status-json get /api/status

        step reloaded systemctl reload $unit
        await says 'settings were read anew'

        main=$(property MainPID)
        systemctl kill --signal=KILL --kill-who=main $unit
        await is 1 property NRestarts
        await is active property ActiveState
        step another test "$main" != "$(property MainPID)"

        # It hangs. Its readings come each second now, so that this is noticed soon, but not so soon that a slow one is taken for it.
        drop_in hung <<LINES
[Service]
WatchdogSec=20
ExecStart=
ExecStart=/usr/bin/plimsoll watch --interval 1s --untracked
LINES
        systemctl restart $unit
        await serves
        step rules nft list tables
        /bin/ip netns add after
        await sh -c 'wget -q -O - http://127.0.0.1:9754/metrics | grep after'
        before=$(restarts)
        systemctl kill --signal=STOP --kill-who=main $unit
        await restarted_since $before
        await is active property ActiveState
        await serves

        step stopped systemctl stop $unit
        step end property ActiveState,Result,ExecMainStatus
        step left-processes pidof plimsoll nft
        step left-rules nft list tables
        step left-state ls -A /var/lib/plimsoll /run/plimsoll
        step journal journalctl --unit=$unit --output=cat
        "#,
    );
    let output = |step| output(&transcript, step);
    for step in ["started", "status", "reloaded", "another", "stopped"] {
        assert_eq!(transcript.step(step).unwrap().exit_code, 0, "{step}");
    }
    assert_eq!(output("state"), "notify\nactive\nrunning");
    let status = output("status");
    assert!(status.contains("Active: active (running)") && status.contains("/usr/bin/plimsoll watch"), "{status}");
    assert!(status.contains("reading every 10 s"), "its own words are shown: {status}");

    // Nothing of what it reads is refused to it.
    assert_eq!(output("healthz"), "readings come as they should");
    let document: Value = serde_json::from_str(output("status-json")).unwrap();
    assert_eq!(document["unseen"], Value::Array(Vec::new()), "{document:#}");
    let names: Vec<_> = document["namespaces"].as_array().unwrap().iter().map(|one| &one["namespace"]).collect();
    assert!(names.contains(&&"host".into()) && names.contains(&&"before".into()), "{document:#}");
    assert!(output("rules").contains("plimsoll-watch"), "it may run nft: {}", output("journal"));

    let journal = output("journal");
    let times = |words: &str| journal.lines().filter(|line| line.contains(words)).count();
    // Where a processor is wanted for long, another may be taken to hang.
    let hung = times("Watchdog timeout");
    assert!(hung >= 1, "{journal}");
    assert_eq!((times("status=9/KILL"), times("status=6/ABRT")), (1, hung), "{journal}");
    assert_eq!((times("Scheduled restart job"), times("Deactivated successfully")), (1 + hung, 2), "{journal}");
    assert!(!journal.contains("denied") && !journal.contains("not permitted"), "{journal}");
    assert_eq!(output("end"), "success\n0\ninactive");
    assert_eq!((output("left-processes"), output("left-rules")), ("", "table inet lab"));
    assert_eq!(output("left-state"), "/var/lib/plimsoll:\nhistory.jsonl\nlock", "its folder below /run is gone");
}

/// What kills the daemon kills its watchdog, which is in the same control group: systemd itself does so, where only the daemon was
/// killed.
#[test]
fn timeouts_that_are_governed_come_back_whatever_systemd_kills() {
    let transcript = played(
        r"
        governed() {
            drop_in govern <<LINES
[Service]
ExecStart=
ExecStart=/usr/bin/plimsoll watch --interval 1s --govern
# So that none comes that would undo what is left.
Restart=no
$1
LINES
            systemctl start $unit
        }
        send-udp 127.0.0.1 1 400
        set_max 500

        # As it is packaged it may not.
        governed ''
        await says 'governor: fail'
        step untouched time_wait
        systemctl stop $unit

        governed ProtectKernelTunables=no
        for whom in main all; do
            systemctl start $unit
            await is 72 time_wait
            systemctl kill --signal=KILL --kill-who=$whom $unit
            await is failed property ActiveState
            step killed-$whom time_wait
            step left-$whom pidof plimsoll
            systemctl reset-failed $unit
        done
        systemctl start $unit
        await is 72 time_wait
        step stopped systemctl stop $unit
        step stopped-at time_wait
        step history plimsoll history --json
        step journal journalctl --unit=$unit --output=cat
        ",
    );
    let output = |step| output(&transcript, step);
    for step in ["untouched", "killed-main", "killed-all", "stopped-at"] {
        assert_eq!(output(step), "120", "{step}: {}", output("journal"));
    }
    assert_eq!((output("left-main"), output("left-all")), ("", ""));
    let document: Value = serde_json::from_str(output("history")).unwrap();
    let because = |application: &Value| (application["outcome"].clone(), application["because"]["why"].clone());
    let because: Vec<_> = document["applications"].as_array().unwrap().iter().map(because).collect();
    let undone = |why: &str| ("undone".into(), why.into());
    assert_eq!(because, [undone("governor_lost"), undone("governor_lost"), undone("interrupted")], "{document:#}");
    let journal = output("journal");
    let refused = journal.lines().find(|line| line.contains("governor: fail")).unwrap();
    assert!(refused.contains("ProtectKernelTunables=no"), "it says what it takes: {refused}");
    let undone = |id: u32| journal.lines().filter(|line| *line == format!("Application {id} is undone:")).count();
    assert_eq!((undone(1), undone(2), undone(3)), (1, 1, 0), "{journal}");
}
