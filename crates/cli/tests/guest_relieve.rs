//! `plimsoll relieve` where it may raise the limit: on Debian's stock 6.1 in QEMU.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use serde_json::Value;

use support::guest::{guest, run};

#[test]
fn a_full_table_gets_room_and_it_can_be_undone() {
    let transcript = run(
        &guest(),
        r"
        track
        set_max 1000
        # So many that early_drop finds few to kill.
        set_buckets 65536
        send-udp 127.0.0.1 1 1100
        step full send-udp 127.0.0.2 1 10
        step dry plimsoll relieve --dry-run
        step max-dry cat /proc/sys/net/netfilter/nf_conntrack_max
        step relieved plimsoll relieve --yes --json
        step max cat /proc/sys/net/netfilter/nf_conntrack_max
        step buckets cat /proc/sys/net/netfilter/nf_conntrack_buckets
        step free send-udp 127.0.0.2 1 10
        step count count
        step evidence ls /var/lib/plimsoll/evidence
        step history plimsoll history
        step pending sh -c 'plimsoll check --interval 0 2>&1 >/dev/null'
        # Not below the entries that are there, times 1.1.
        step held plimsoll rollback 1
        step max-held cat /proc/sys/net/netfilter/nf_conntrack_max
        conntrack -F
        step undone plimsoll rollback 1
        step max-undone cat /proc/sys/net/netfilter/nf_conntrack_max
        step files ls /etc/sysctl.d
        ",
    );
    let step = |name: &str| transcript.step(name).unwrap();
    let number = |name: &str| step(name).output.trim().parse::<u32>().unwrap();
    assert!(number("full") > 0, "the table is full");
    let dry = step("dry");
    assert!(dry.exit_code == 1 && dry.output.contains("would raise nf_conntrack_max from 1,000"), "{dry:?}");
    assert_eq!(number("max-dry"), 1000);
    let relieved = step("relieved");
    let document: Value =
        serde_json::from_str(&relieved.output).unwrap_or_else(|error| panic!("{error}: {relieved:?}"));
    assert_eq!((relieved.exit_code, &document["done"]["raised_by_application"]), (0, &1.into()), "{document:#}");
    let room = &document["relief"]["room"];
    assert_eq!((room["from"].as_u64(), room["to"].as_u64()), (Some(1000), Some(number("max").into())), "{document:#}");
    assert!(number("max") > 10_000 && number("max") <= 25 * number("buckets"), "{document:#}");
    assert_eq!((number("free"), step("evidence").output.matches("relieve-").count()), (0, 1));
    assert_eq!(document["done"]["trim_error"], Value::Null, "the module was loaded: {document:#}");
    assert!(number("count") >= 1010, "unanswered UDP may still be answered: none of it goes");
    assert!(step("history").output.contains("confirmed"), "{:?}", step("history"));
    assert_eq!(step("pending").output.trim(), "", "nothing undoes it by itself");
    assert_eq!((step("held").exit_code, number("max-held")), (2, number("max")), "{:?}", step("held"));
    assert_eq!((step("undone").exit_code, number("max-undone")), (0, 1000), "{:?}", step("undone"));
    assert_eq!(step("files").output.trim(), "", "a reboot undoes it too");
}
