//! Flows that live are not trimmed. On the running kernel: needs root, `ip` and `nft`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll_ctnetlink::{Entry, ProtocolState, TcpState};
use plimsoll_lab::ByHand;
use plimsoll_trim::{Ground, Left, Limits, Manner, Trimming, Wish};
use support::flows::{Flow, Kind};
use support::played::{BETWEEN, FLOWS, NOW, of, play};
use support::{act, ground, plan, set, table};

/// Ten thousand flows, a third each under three settings, the last of which is in force.
fn played() -> (ByHand, Vec<Flow>, BTreeMap<String, Entry>) {
    let router = ByHand::build().unwrap();
    let flows: Vec<Flow> = (0..FLOWS).map(Flow::of).collect();
    let third = flows.len() / 3;
    play(&router, &flows[..third]);
    set(router.namespace(), &BETWEEN);
    play(&router, &flows[third..2 * third]);
    set(router.namespace(), &NOW);
    play(&router, &flows[2 * third..]);
    let before = table(router.namespace());
    assert_eq!(before.len(), flows.len());
    (router, flows, before)
}

fn told() -> Wish {
    Wish { armed: BETWEEN.to_vec(), ..Wish::default() }
}

fn count(table: &BTreeMap<String, Entry>, is: impl Fn(&Entry) -> bool) -> usize {
    table.values().filter(|entry| is(entry)).count()
}

#[test]
fn ten_thousand_flows_of_every_kind_live_on_though_timeouts_were_changed_twice() {
    let (router, flows, before) = played();
    let namespace = router.namespace();
    // They mislead indeed: connections that are open, with little time left.
    let is_open = |entry: &Entry| entry.state == ProtocolState::Tcp(TcpState::Established);
    let short = count(&before, |entry| is_open(entry) && entry.remaining_secs.is_some_and(|secs| secs <= 300));
    assert!(short > 2000, "{short} open connections have less than UNACK");

    for manner in [Manner::Expire, Manner::Delete] {
        let acted = act(namespace, told(), manner);
        assert_eq!((acted.changed(), acted.tally.stale(), acted.alive, acted.gone), (0, 0, 0, 0), "{acted:#?}");
        assert_eq!(acted.tally.left, BTreeMap::from([(Left::Fresh, u64::from(FLOWS))]));
    }
    // Held against a minute, too.
    let minute = BETWEEN.iter().map(|(timeout, _)| (*timeout, 60)).collect();
    let acted = act(namespace, Wish { as_if: minute, ..told() }, Manner::Delete);
    assert_eq!(acted.changed(), 0, "{acted:#?}");

    for flow in &flows {
        flow.go_on(&router);
    }
    let after = table(namespace);
    let ids = |table: &BTreeMap<String, Entry>| -> BTreeMap<String, u32> {
        table.iter().map(|(name, entry)| (name.clone(), entry.id)).collect()
    };
    assert_eq!(ids(&after), ids(&before), "every flow goes on by the entry that it had");
}

/// The test above can fail: without being told of the values in between, open connections would be taken for days old.
#[test]
fn a_value_in_between_that_nobody_tells_of_costs_flows() {
    let (router, ..) = played();
    let plan = plan(router.namespace(), Wish::default(), Manner::Expire);
    assert!(plan.stale() > 300, "{plan:#?}");
}

/// A value that nobody tells of, and several others that may have armed the entry: the second look sees the packets.
#[test]
fn flows_that_send_between_two_looks_live_on_whatever_armed_them() {
    let router = ByHand::build().unwrap();
    let namespace = router.namespace();
    let established = of(TcpState::Established);
    set(namespace, &[(established, 2000)]);
    let flows: Vec<Flow> = (0..1200).map(Flow::of).filter(|flow| flow.kind == Kind::Quiet).collect();
    let [busy, silent] = [0, 1].map(|half| -> Vec<Flow> { flows.iter().copied().skip(half).step_by(2).collect() });
    for flow in &flows {
        flow.begin(&router);
    }

    // Trimmed as if 3600 were in force: what 2000 arms looks 1600 seconds old at every moment.
    let stop = AtomicBool::new(false);
    let ground = namespace.enter(ground).unwrap();
    let timeouts = ground.timeouts.iter_secs().chain([(established, 3600)]).collect();
    let ground = Ground { timeouts, ..ground };
    let wish = Wish { as_if: vec![(established, 60)], ..Wish::default() };
    let trimming = Trimming::new(&ground, wish, Manner::Delete);
    let acted = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for flow in &busy {
                    flow.go_on(&router);
                }
                // Their entries must move by more than what two looks leave open.
                thread::sleep(Duration::from_millis(100));
            }
        });
        let unless = AtomicBool::new(false);
        let acted = namespace.enter(|| trimming.act(&Limits::none(&unless)).unwrap());
        stop.store(true, Ordering::Relaxed);
        acted.unwrap()
    });
    assert_eq!(acted.tally.stale(), flows.len() as u64, "{acted:#?}");
    assert_eq!((acted.alive, acted.changed()), (busy.len() as u64, silent.len() as u64), "{acted:#?}");
    let left = table(namespace);
    for flow in &busy {
        assert_eq!(count(&left, |entry| entry.original.source == flow.client().ip()), 1, "{flow:?}");
    }
}
