//! `plimsoll apply` on what is global: the limit, the buckets, files under `/etc`, the clock; on Debian's stock 6.1 in QEMU.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_guest::Transcript;
use serde_json::Value;

use support::guest::{guest, output, run};

/// What the scripts share.
const COMMON: &str = r#"
value() { cat "/proc/sys/net/netfilter/nf_conntrack_$1"; }
apply() { plimsoll apply --soak 0 "$@"; }
file=/etc/sysctl.d/90-plimsoll.conf
# until_is NAME VALUE
until_is() (
    set +x
    until [ "$(value "$1")" = "$2" ]; do sleep 0.1; done
)
"#;

fn played(script: &str) -> Transcript {
    // Rules refer to timeouts by it.
    run(&guest().module("nft_objref"), &format!("{COMMON}\nmodprobe nf_conntrack_netlink\ntrack\n{script}"))
}

#[test]
fn limits_are_applied_undone_by_the_deadline_and_held_above_the_entries() {
    let transcript = played(
        r"
        set_max 4000
        set_buckets 1024
        step applied apply --confirm-within 10s --json \
            --set net.netfilter.nf_conntrack_max=20000 --set net.netfilter.nf_conntrack_buckets=4000
        step max value max
        step buckets value buckets
        until_is max 4000
        until_is buckets 1024
        step undone plimsoll history

        # More entries come than the old limit lets in.
        step again apply --confirm-within 20s --set nf_conntrack_max=20000
        send-udp 127.0.0.1 1 8000
        until plimsoll history | grep HELD; do sleep 0.1; done
        step held value max
        step told plimsoll check --interval 0 --json
        step pending sh -c 'plimsoll check --interval 0 2>&1 >/dev/null'
        step log dmesg
        step refused apply --set nf_conntrack_max=5000
        step still plimsoll rollback
        # They go, and the watchdog, which has tried again and again, undoes it.
        conntrack -F
        until_is max 4000
        step quiet sh -c 'plimsoll check --interval 0 2>&1 >/dev/null'
        ",
    );
    let applied = transcript.step("applied").unwrap();
    let document: Value = serde_json::from_str(&applied.output).unwrap_or_else(|error| panic!("{error}: {applied:?}"));
    assert_eq!((applied.exit_code, document["changes"].as_array().unwrap().len()), (0, 2), "{document:#}");
    assert_eq!((output(&transcript, "max"), output(&transcript, "buckets")), ("20000", "4096"), "in whole pages");
    assert_eq!(output(&transcript, "undone").matches("restored").count(), 2, "{}", output(&transcript, "undone"));

    assert_eq!(output(&transcript, "held"), "20000");
    assert!(output(&transcript, "pending").contains("HELD: net.netfilter.nf_conntrack_max stays 20000"));
    assert!(output(&transcript, "log").contains("plimsoll: application 2 is not wholly undone"));
    let refused = transcript.step("refused").unwrap();
    assert_eq!(refused.exit_code, 3, "another application while one is not undone: {refused:?}");
    assert_eq!(transcript.step("still").unwrap().exit_code, 2);
    assert_eq!(output(&transcript, "quiet"), "");
}

#[test]
fn what_is_confirmed_is_in_files_and_what_is_somebodys_is_left() {
    let transcript = played(
        r#"
        set_max 4000
        apply --set nf_conntrack_max=20000
        step confirmed plimsoll confirm
        step file cat $file
        apply --set nf_conntrack_udp_timeout=20
        step second plimsoll confirm
        step both cat $file
        step back plimsoll rollback 2
        step one cat $file
        step all plimsoll rollback
        step none ls /etc/sysctl.d
        step max value max

        # Somebody's own file is in the way.
        echo 'net.netfilter.nf_conntrack_max = 7000' >$file
        apply --set nf_conntrack_max=20000
        step theirs plimsoll confirm
        step left cat $file
        step kept value max

        # A file of ours that somebody has changed.
        rm $file
        apply --set nf_conntrack_max=21000
        plimsoll confirm
        echo '# mine' >>$file
        step superseded plimsoll rollback
        step changed tail -n 1 $file
        step max-again value max

        # A policy of one service, as it is loaded at the next boot.
        rm $file
        echo '{"schema":"plimsoll.plan/1","changes":[{"edit":{"kind":"policy","protocol":"udp","port":53,"timeouts":[
            {"sysctl":"net.netfilter.nf_conntrack_udp_timeout","secs":7}]}}]}' >/plan.json
        apply /plan.json
        step policy plimsoll confirm
        nft list table inet plimsoll >/tmp/made
        nft delete table inet plimsoll
        nft -f /etc/plimsoll/rules.nft
        nft list table inet plimsoll >/tmp/loaded
        step same cmp /tmp/made /tmp/loaded
        step policies cat /tmp/loaded
        step unmade plimsoll rollback
        step tables sh -c 'nft list tables; ls /etc/plimsoll'
        "#,
    );
    assert_eq!(transcript.step("confirmed").unwrap().exit_code, 0);
    let file = output(&transcript, "file");
    assert!(
        file.starts_with("# Written by plimsoll") && file.ends_with("\nnet.netfilter.nf_conntrack_max = 20000"),
        "{file}"
    );
    let both = output(&transcript, "both");
    assert!(both.contains("nf_conntrack_max = 20000\n") && both.ends_with("nf_conntrack_udp_timeout = 20"), "{both}");
    assert_eq!(output(&transcript, "one"), file);
    assert_eq!((output(&transcript, "none"), output(&transcript, "max")), ("", "4000"));

    let theirs = transcript.step("theirs").unwrap();
    assert_eq!(theirs.exit_code, 1, "{theirs:?}");
    let told = theirs.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("/etc/sysctl.d/90-plimsoll.conf is not overwritten"), "{told}");
    assert_eq!(output(&transcript, "left"), "net.netfilter.nf_conntrack_max = 7000");
    assert_eq!(output(&transcript, "kept"), "20000");

    assert_eq!(transcript.step("superseded").unwrap().exit_code, 1);
    assert_eq!((output(&transcript, "changed"), output(&transcript, "max-again")), ("# mine", "20000"));

    assert_eq!(transcript.step("policy").unwrap().exit_code, 0);
    assert_eq!(transcript.step("same").unwrap().exit_code, 0, "what is loaded is what was made");
    assert!(output(&transcript, "policies").contains("unreplied : 7"), "{}", output(&transcript, "policies"));
    assert_eq!((transcript.step("unmade").unwrap().exit_code, output(&transcript, "tables")), (0, "table inet lab"));
}

#[test]
fn a_clock_that_is_set_moves_no_deadline() {
    let transcript = played(
        r#"
        date -s '2030-01-01 00:00'
        apply --confirm-within 30m --set nf_conntrack_udp_timeout=20
        step spared sh -c 'for p in /proc/[0-9]*; do
            tr "\000" " " <$p/cmdline | grep -q "plimsoll [w]atchdog" && cat $p/oom_score_adj; done; true'
        date -s '2035-01-01 00:00'
        # The watchdog looks a few times.
        sleep 2
        step later value udp_timeout
        date -s '2001-01-01 00:00'
        sleep 2
        step earlier value udp_timeout
        step confirmed plimsoll confirm --no-persist
        plimsoll rollback
        apply --confirm-within 4s --set nf_conntrack_udp_timeout=20
        date -s '2000-01-01 00:00'
        until_is udp_timeout 3600
        step history plimsoll history
        "#,
    );
    assert_eq!(output(&transcript, "spared"), "-1000", "it is not ended when memory runs out");
    assert_eq!((output(&transcript, "later"), output(&transcript, "earlier")), ("20", "20"));
    assert_eq!(transcript.step("confirmed").unwrap().exit_code, 0);
    assert!(output(&transcript, "history").contains("nobody confirmed in time"));
}

/// At every step of confirming: the file is whole, or not there; and what is not confirmed goes.
#[test]
fn a_confirmation_killed_at_any_step_leaves_whole_files_or_none() {
    // Before and after `confirmed` and `persisted`, and one that is not killed.
    const STEPS: u32 = 5;
    let killed = std::env::current_exe().unwrap();
    let name = killed.file_name().unwrap().to_str().unwrap();
    let script = format!(
        r#"
        set_max 4000
        mkdir -p /etc/sysctl.d
        echo mine >/etc/sysctl.d/91-mine.conf
        export KILLED_ROLE=confirm KILLED_VICTIMS=confirmer KILLED_FOLDER=/var/lib/plimsoll KILLED_FILES=yes
        for at in $(seq 0 {last}); do
            apply --set nf_conntrack_max=20000
            step killed-$at env KILLED_STEP=$at {name} --exact the_process_that_is_killed
            step file-$at sh -c "cat $file || echo none"
            # What is confirmed is completed, and what is not yet is confirmed now.
            plimsoll confirm || true
            step complete-$at sh -c "cat $file || echo none"
            plimsoll rollback
            step files-$at ls -A /etc/sysctl.d
            step max-$at value max
        done
        "#,
        last = STEPS - 1
    );
    let script = format!("{COMMON}\nmodprobe nf_conntrack_netlink\ntrack\n{script}");
    let transcript = run(&guest().program(&killed), &script);
    for at in 0..STEPS {
        let told = |step: &str| output(&transcript, &format!("{step}-{at}"));
        let is_killed = transcript.step(&format!("killed-{at}")).unwrap().exit_code == 137;
        assert_eq!(is_killed, at < STEPS - 1, "step {at}: {}", told("killed"));
        let whole =
            |file: &str| file.starts_with("# Written by plimsoll") && file.ends_with("nf_conntrack_max = 20000");
        let file = told("file");
        assert!(whole(file) || file == "none", "step {at}: {file}");
        assert!(whole(told("complete")), "step {at}: {}", told("complete"));
        assert_eq!((told("files"), told("max")), ("91-mine.conf", "4000"), "step {at}");
    }
}

/// No test of its own: what is killed in the guest.
#[test]
fn the_process_that_is_killed() {
    support::killed::be_killed();
}

#[test]
fn a_limit_that_was_set_beside_a_namespace_is_undone_and_lasts_without_it() {
    let guest = guest().program("ip");
    let transcript = run(
        &guest,
        &format!(
            r"{COMMON}
            modprobe nf_conntrack_netlink
            track
            set_max 4000
            mkdir -p /run/netns
            /bin/ip netns add web
            apply --netns web --confirm-within 3s --set nf_conntrack_max=20000 --set nf_conntrack_udp_timeout=20
            /bin/ip netns delete web
            until_is max 4000
            step history plimsoll history

            /bin/ip netns add web
            apply --netns web --set nf_conntrack_max=20000 --set nf_conntrack_udp_timeout=20
            step confirmed plimsoll confirm
            step file cat $file
            "
        ),
    );
    let history = output(&transcript, "history");
    assert!(history.contains("restored") && history.contains("gone with"), "{history}");
    let confirmed = transcript.step("confirmed").unwrap();
    assert_eq!(confirmed.exit_code, 1, "a part of it lasts: {confirmed:?}");
    let file = output(&transcript, "file");
    assert!(file.contains("nf_conntrack_max = 20000") && !file.contains("udp_timeout"), "{file}");
}
