//! What nft answers, and what is made of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_shield::{Hit, NoReading, Reading, asking};
use proptest::prelude::*;

use support::shield;

/// As nft 1.0.6 wrote it of a shield of application 7, in a namespace with a client that came too often.
fn answers() -> [String; 5] {
    let metainfo = r#"{"metainfo":{"version":"1.0.6","release_name":"Lester Gooch #5","json_schema_version":1}}"#;
    let set = |name: &str, kind: &str, elements: &str| {
        format!(
            r#"{{"nftables":[{metainfo},{{"set":{{"family":"inet","name":"{name}","table":"plimsoll-shield","type":"{kind}",
            "handle":10,"flags":["timeout"]{elements}}}}}]}}"#
        )
    };
    let armed = r#","elem":[{"elem":{"val":"tcp","timeout":1801,"expires":1800}}]"#;
    let hit = r#","elem":[{"elem":{"val":"10.8.0.1","expires":59,"counter":{"packets":7,"bytes":420}}}]"#;
    let counters = format!(
        r#"{{"nftables":[{metainfo},{{"counter":{{"family":"inet","name":"seen","table":"plimsoll-shield","handle":18,"packets":80,
        "bytes":4800}}}},{{"counter":{{"family":"inet","name":"over_source","table":"plimsoll-shield","handle":19,"packets":28,
        "bytes":1680}}}},{{"counter":{{"family":"inet","name":"newer","table":"plimsoll-shield","handle":20,"packets":1,"bytes":1}}}}]}}"#
    );
    [
        set("armed_7", "inet_proto", armed),
        set("enforced", "inet_proto", ""),
        set("hit4", "ipv4_addr", hit),
        set("hit6", "ipv6_addr", ""),
        counters,
    ]
}

#[test]
fn what_nft_writes_is_read() {
    let reading = Reading::from_json(&answers(), &shield(443), 7).unwrap();
    assert_eq!((reading.armed_secs, reading.enforced_secs, reading.is_enforced()), (1800, 0, false));
    assert_eq!((reading.counters.seen, reading.counters.over_source, reading.counters.dropped), (80, 28, 0));
    assert_eq!(reading.hits, [Hit { source: "10.8.0.1".parse().unwrap(), packets: 7 }]);
    assert_eq!(asking(7)[0], "list set inet plimsoll-shield armed_7");
}

#[test]
fn the_table_of_another_application_is_none() {
    assert!(matches!(Reading::from_json(&answers(), &shield(443), 8), Err(NoReading::Lacks(_))));
    assert!(matches!(Reading::from_json(&[String::new()], &shield(443), 7), Err(NoReading::Json(_))));
}

proptest! {
    /// Whatever stands there instead: an error, or a reading, and never a panic.
    #[test]
    fn mutated_answers_make_no_panic(at in 0_usize..2000, byte in 0x20_u8..0x7f, which in 0_usize..5) {
        let mut answers = answers();
        let mut bytes = answers[which].clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        answers[which] = String::from_utf8(bytes).unwrap();
        let _ = Reading::from_json(&answers, &shield(443), 7);
    }
}
