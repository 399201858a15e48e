//! `plimsoll watch` where the whole host is its own, on Debian's stock kernels in QEMU: a storm that overflows a small table, a reboot, and a
//! clock that is set. Needs what scripts/test installs, and no right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_guest::{Guest, Stock, Transcript};
use serde_json::Value;
use support::guest::{guest, output, run};

/// Fifty connections a second, each of which leaves an entry for two minutes, are 6000 entries where 2000 fit. The others are used
/// every few seconds, or are silent while it lasts, and speak at its end.
const STORM: &str = r#"
name = "storm"
title = "a storm of short connections, past connections that live"
about = "as the title says"
[play]
secs = 120
check_at_secs = 1
[[traffic]]
name = "talk"
count = 50
until_secs = 6
clients = { in = "10.2.0.0/16", hosts = 50 }
servers = { in = "192.0.2.20", ports = 443 }
script = "talk"
[[traffic]]
name = "are silent"
count = 50
until_secs = 6
clients = { in = "10.3.0.0/16", hosts = 50 }
servers = { in = "192.0.2.20", ports = 5432 }
script = "silence"
[[traffic]]
name = "stream"
count = 30
until_secs = 6
clients = { in = "10.4.0.0/16", hosts = 30 }
servers = { in = "192.0.2.30", ports = 4500 }
script = "stream"
[[traffic]]
name = "requests"
per_sec = 50
from_secs = 8
until_secs = 55
clients = { in = "10.1.0.0/16", hosts = 500 }
servers = { in = "192.0.2.10", ports = 80 }
script = "request"
[scripts.talk]
packets = """
> syn
< syn-ack
> ack
repeat forever
  > data 100
  < data 100
  > ack
  wait 3s
end
"""
[scripts.silence]
packets = """
> syn
< syn-ack
> ack
> data 100
< data 100
> ack
wait 48s
> data 100
< data 100
> ack
"""
[scripts.stream]
packets = """
repeat forever
  > udp 100
  < udp 100
  wait 2500ms
end
"""
[scripts.request]
rtt_ms = 5
packets = """
> syn
< syn-ack
> ack
> data 200
< data 800
> ack
> fin
< fin
> ack
"""
[expect]
must = []
"#;

/// What the scripts share.
const COMMON: &str = "
modprobe nf_conntrack_netlink
mkdir -p /run/netns
";

fn played(machine: &Guest, script: &str) -> Transcript {
    run(machine, &format!("{COMMON}\n{script}"))
}

fn figures(metrics: &str, name: &str) -> Vec<(String, f64)> {
    let of_name = metrics.lines().filter_map(|line| line.strip_prefix(name)?.split_once(' '));
    of_name.map(|(labels, figure)| (labels.to_string(), figure.parse().unwrap())).collect()
}

/// Two routers have the same storm at once, a table each. The daemon of one of them governs, is killed in the middle, and begun anew.
const PLAY: &str = r#"
modprobe tun
[ -e /dev/net/tun ] || { mkdir -p /dev/net; mknod /dev/net/tun c 10 200; }
set_max 2000
begin() { plimsoll lab run /storm.toml --on-this-host >/dev/null 2>"/tmp/$1" & }
# In a table's namespace, whose name the lab has told.
inside() {
    netns=$(sed -n 's/.*check --netns \([^ ]*\).*/\1/p' "/tmp/$1")
    shift
    /bin/ip netns exec "$netns" "$@"
}
in_force() { inside governed sh -c 'cd /proc/sys/net/netfilter; grep . nf_conntrack_*timeout*'; }
time_wait() { inside governed cat /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait; }
metrics() { inside governed wget -q -O - http://127.0.0.1:9754/metrics; }
serves() { metrics | grep -q '^plimsoll_readings_total [1-9]'; }
# The entries of those that live, by ids that no other entry gets while these last.
live() { inside governed conntrack -L -o id 2>/dev/null | grep -v -e 192.0.2.10 -e 127.0.0.1 | grep -o ' id=[0-9]*' | sort; }
all_live() { [ "$(live | wc -l)" -ge 130 ]; }
# What the kernel counts, of both processors.
counter() { inside "$1" conntrack -S | grep -o " $2=[0-9]*" | awk -F= '{ sum += $2 } END { print sum }'; }
overflows() { [ "$(counter stock drop)" -gt 100 ]; }
watch() {
    inside governed sh -c 'echo $$ >/tmp/pid; exec plimsoll watch --interval 1s --govern --govern-profile kubernetes 2>>/tmp/log' &
    await serves
}

for table in stock governed; do
    begin $table
    await grep -q 'check --netns' /tmp/$table
done
began=$(cut -d. -f1 /proc/uptime)
# Returns when the storm is so old.
at() { await sh -c "[ \$(cut -d. -f1 /proc/uptime) -ge $((began + $1)) ]"; }

step before in_force
watch
await all_live
step live live
await grep -q 'governor: trim' /tmp/log
step shrunk time_wait
kill -9 $(cat /tmp/pid)
await is 120 time_wait
step came-back in_force
watch

# All that live have spoken again.
at 58
await overflows
step live-still live
for table in stock governed; do
    step $table-drop counter $table drop
    step $table-early-drop counter $table early_drop
done
step metrics metrics
kill $(cat /tmp/pid)
await grep -q 'governor: restore' /tmp/log
step after in_force
step log cat /tmp/log
"#;

fn a_storm_passes_on(stock: Stock) {
    let machine = ["tun", "nf_defrag_ipv6"].into_iter().fold(guest().program("ip"), Guest::module);
    let transcript = played(&machine.on(stock).file("/storm.toml", STORM), PLAY);
    let output = |step| output(&transcript, step);
    let log = output("log");
    let number = |step| output(step).parse::<u32>().unwrap();
    assert!(number("stock-drop") > 100, "{}", output("stock-drop"));
    assert_eq!((number("governed-drop"), number("governed-early-drop")), (0, 0), "{log}");
    assert_eq!((output("live").lines().count(), output("live-still")), (130, output("live")), "{log}");

    assert!(number("shrunk") < 120);
    assert_eq!(output("came-back"), output("before"), "by its watchdog, when it was killed");
    assert_eq!(output("after"), output("before"), "when it was told to end");

    let acts = figures(output("metrics"), "plimsoll_governor_acts_total");
    let of = |act: &str| acts.iter().find(|(labels, _)| labels.contains(act)).map_or(0.0, |(_, number)| *number);
    assert!(of("\"shrink\"") >= 1.0 && of("\"trim\"") >= 1.0, "{acts:?}");
    let scale = figures(output("metrics"), "plimsoll_governor_scale");
    assert!(matches!(scale[..], [(_, scale)] if scale < 1.0), "{scale:?}");
    // With reason and effect.
    let said = |parts: [&str; 3]| log.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(
        said(["governor: shrink", "is going to be full; timeouts go from 100%", "tcp_timeout_time_wait ="]),
        "{log}"
    );
    assert!(said(["governor: trim", "is going to be full; of ", "were deleted"]), "{log}");
    for never in ["governor: fail", "governor: leave", "governor: give_way"] {
        assert!(!log.contains(never), "{log}");
    }
}

#[test]
fn a_storm_that_overflows_a_stock_table_passes_though_the_daemon_is_killed() {
    a_storm_passes_on(Stock::Linux6_1);
}

#[test]
fn a_storm_that_overflows_a_stock_table_passes_on_6_12_too() {
    a_storm_passes_on(Stock::Linux6_12);
}

/// What the scripts of the host's own table share.
const HOST: &str = r#"
time_wait() { cat /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait; }
get() { wget -q -O - "http://127.0.0.1:9754$1"; }
readings() { get /metrics | sed -n 's/^plimsoll_readings_total //p'; }
# watch INTERVAL
watch() {
    # What asks it here is no load of the table.
    plimsoll watch --interval "$1" --govern --untracked 2>/tmp/log &
    daemon=$!
}
# reached NUMBER: whether so many readings were made. Every answer on the way must be that all is well.
reached() {
    get /healthz >/dev/null || echo "ill at $(readings)" >>/tmp/ill
    [ "$(readings)" -ge "$1" ]
}
more() { await reached $(($(readings) + $1)); }
# By SECS.
set_clock() { date -s "@$(($(date +%s) + $1))"; }
known() {
    step "$1-status" get /api/status
    step "$1-history" get '/api/history?netns=host'
    step "$1-now" date +%s
}
track
"#;

/// What is known at a moment: how many readings the history has; none is out of order, or far from where the clock is.
fn is_well_at(when: &str, transcript: &Transcript) -> usize {
    const FAR_SECS: f64 = 600.0;
    let document =
        |what: &str| -> Value { serde_json::from_str(output(transcript, &format!("{when}-{what}"))).unwrap() };
    let (status, history) = (document("status"), document("history"));
    assert_eq!((&status["verdict"], &status["unseen"]), (&"ok".into(), &Value::Array(Vec::new())), "{status:#}");
    assert!(
        status["findings"].as_array().unwrap().iter().all(|finding| finding["id"] != "table-filling"),
        "{status:#}"
    );

    let now: f64 = output(transcript, &format!("{when}-now")).parse().unwrap();
    let points = history["fine"]["points"].as_array().unwrap();
    let times: Vec<f64> = points.iter().map(|point| point[0].as_f64().unwrap()).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "{when}: {times:?}");
    assert!(times.iter().all(|at| (now - at).abs() < FAR_SECS), "{when}, {now}: {times:?}");
    assert!((now - status["taken_at_unix_secs"].as_f64().unwrap()).abs() < FAR_SECS, "{when}, {now}: {status:#}");
    times.len()
}

#[test]
fn after_a_reboot_nothing_is_in_force_and_a_clock_that_is_set_disturbs_nothing() {
    let first = played(
        &guest(),
        &format!(
            "{HOST}
            send-udp 127.0.0.1 1 400
            set_max 500
            watch 1s
            await is 72 time_wait
            more 5
            step shrunk time_wait
            # The power fails.
            keep /var/lib/plimsoll
            "
        ),
    );
    assert_eq!(output(&first, "shrunk"), "72");
    let second = played(
        &guest().after(&first),
        &format!(
            "{HOST}
            step boots time_wait
            chmod 700 /var/lib/plimsoll
            send-udp 127.0.0.1 1 400
            set_max 1000
            touch /tmp/ill
            # A reading may be late by three of these, which is long enough where a processor is wanted.
            watch 4s
            await sh -c 'wget -q -O - http://127.0.0.1:9754/healthz'
            step began cat /tmp/log
            step undone plimsoll history --json
            more 4
            known before
            set_clock -86400
            more 4
            known earlier
            set_clock 3600
            more 4
            known later
            kill $daemon
            wait $daemon
            step ill cat /tmp/ill
            step log cat /tmp/log
            "
        ),
    );
    assert_eq!(output(&second, "boots"), "120");
    let began = output(&second, "began");
    assert!(began.contains("nothing of application 1, by a governor that is no more, was in force"), "{began}");
    let undone: Value = serde_json::from_str(output(&second, "undone")).unwrap();
    let changes = undone["applications"][0]["changes"].as_array().unwrap();
    assert!(changes.iter().all(|change| change["state"] == "gone") && changes.len() == 6, "{undone:#}");

    let [before, earlier, later] = ["before", "earlier", "later"].map(|when| is_well_at(when, &second));
    assert!(before >= 9, "those of the first boot are there: {before}");
    assert!(earlier >= before + 4 && later >= earlier + 4, "none is lost: {before}, {earlier}, {later}");
    assert_eq!(output(&second, "ill"), "", "it was well at each moment");
    let log = output(&second, "log");
    // What was told before the boot is over.
    let is_new = |line: &&str| !line.starts_with("plimsoll watch: resolved ");
    assert_eq!(log.lines().filter(is_new).count(), 3, "it tells of its beginning, and of nothing else: {log}");
}
