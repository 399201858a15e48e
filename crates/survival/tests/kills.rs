//! False kills in cases that can be worked out by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use plimsoll_survival::{Ages, Change, ChangeError, FalseKills, Flow, Gap, Observed, Resampling, Share, resampled};

const CHANGE: Change = Change { timeout_secs: 600.0, in_force_secs: 3_600.0 };
const GUARD: f64 = 300.0;

fn observed(flows: &[(u64, Vec<Gap>)]) -> Observed {
    let mut observed = Observed::new(Ages::with(&[300.0, 600.0, 700.0, 1_000.0, 3_600.0]).unwrap());
    for (peer, gaps) in flows {
        observed.add(&Flow::new(*peer, gaps.clone()));
    }
    observed
}

fn judged(flows: &[(u64, Vec<Gap>)]) -> Result<FalseKills, ChangeError> {
    let observed = observed(flows);
    let resampled = resampled(&observed, Resampling { samples: 100, seed: 7 });
    resampled.judge(GUARD)?.false_kills(&CHANGE, Share::NINETEEN_OF_TWENTY)
}

fn ended(after: f64, until: f64) -> Gap {
    Gap::ended(0.0, after, until).unwrap()
}

fn lost(after: f64) -> Gap {
    Gap::lost(0.0, after).unwrap()
}

fn close(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-3, "{value} is not {expected}");
}

#[test]
fn what_was_seen_whole_is_counted() {
    let found = judged(&[
        (1, vec![ended(300.0, 600.0)]),                        // long, not killed
        (2, vec![ended(700.0, 1_000.0), ended(10.0, 20.0)]),   // killed
        (3, vec![lost(3_600.0)]),                              // dies today too
        (4, vec![ended(10.0, 20.0)]),                          // never long
        (5, vec![Gap::ended(700.0, 700.0, 1_000.0).unwrap()]), // killed before it was first seen
    ])
    .unwrap();
    close(found.rate.value, 0.5);
    close(found.long_flows, 4.0);
    close(found.long_gaps, 4.0);
    assert_eq!(found.peers, 4);
    close(found.not_known, 0.0);
    assert!(found.effective_flows <= 4.0 + 1e-9 && found.upper > 0.75, "{found:?}");
}

#[test]
fn what_may_have_been_killed_counts_by_its_chance() {
    // Mass in (300, 600] and in (600, 700]: likelihood p² (1 - p), so 2/3 of what is in (300, 700] is in the first.
    let whole = [ended(300.0, 600.0), ended(300.0, 600.0), ended(600.0, 700.0), ended(300.0, 700.0)];
    let flows: Vec<(u64, Vec<Gap>)> = (0..).zip(whole).map(|(peer, gap)| (peer, vec![gap])).collect();
    close(judged(&flows).unwrap().rate.value, (1.0 + 1.0 / 3.0) / 4.0);
}

#[test]
fn what_is_not_known_counts_as_harm() {
    // One of two at risk ended by 600 s; the other was lost at 700 s, beyond which nothing is known.
    let found = judged(&[(1, vec![ended(300.0, 600.0)]), (2, vec![lost(700.0)])]).unwrap();
    close(found.rate.value, 0.5);
    close(found.not_known, 0.5);
}

#[test]
fn flows_of_one_peer_tell_what_one_does() {
    let flows =
        |peers: u64| -> Vec<(u64, Vec<Gap>)> { (0..400).map(|n| (n % peers, vec![ended(300.0, 600.0)])).collect() };
    let [one, many] = [1, 400].map(|peers| judged(&flows(peers)).unwrap());
    close(one.rate.value, 0.0);
    close(one.effective_flows, 1.0);
    close(one.upper, 0.95);
    close(many.effective_flows, 400.0);
    close(many.upper, 0.00746);
    assert!(many.rate.high >= 0.0074, "{many:?}");
}

#[test]
fn a_few_seen_at_an_age_are_all_that_is_known_of_it() {
    // Of a thousand long flows half are lost at 301 s, the rest ends at once but for four that reach 3600 s.
    let mut flows: Vec<(u64, Vec<Gap>)> = (0..500).map(|peer| (peer, vec![lost(301.0)])).collect();
    flows.extend((500..996).map(|peer| (peer, vec![ended(301.0, 302.0)])));
    flows.extend((996..1_000).map(|peer| (peer, vec![lost(3_600.0)])));
    let found = judged(&flows).unwrap();
    close(found.rate.value, 0.0);
    // Four at risk stand for 8 in 1000, as 500 in 1000 would.
    assert!((490.0..510.0).contains(&found.effective_flows), "{found:?}");
}

#[test]
fn the_shorter_a_timeout_the_more_it_kills() {
    let mut flows: Vec<(u64, Vec<Gap>)> = (0..900).map(|peer| (peer, vec![ended(300.0, 500.0)])).collect();
    flows.extend((900..1_000).map(|peer| (peer, vec![ended(600.0, 700.0)])));
    let observed = observed(&flows);
    let resampled = resampled(&observed, Resampling { samples: 100, seed: 7 });
    let judge = resampled.judge(GUARD).unwrap();
    let judged =
        |timeout_secs: f64| judge.false_kills(&Change { timeout_secs, ..CHANGE }, Share::NINETEEN_OF_TWENTY).unwrap();
    assert!(judged(1_000.0).upper <= 0.01 && judged(700.0).upper <= 0.01);
    close(judged(600.0).rate.value, 0.1);
    close(judged(300.0).rate.value, 1.0);
}

#[test]
fn what_cannot_be_judged() {
    assert_eq!(judged(&[(1, vec![ended(10.0, 20.0)])]), Err(ChangeError::NoLongFlows(300.0)));
    let observed = observed(&[(1, vec![lost(3_600.0)])]);
    let resampled = resampled(&observed, Resampling { samples: 1, seed: 7 });
    let fails = |guard: f64, change: Change| {
        resampled.judge(guard).and_then(|judge| judge.false_kills(&change, Share::NINETEEN_OF_TWENTY)).unwrap_err()
    };
    assert_eq!(fails(300.5, CHANGE), ChangeError::NotOnGrid(300.5));
    assert_eq!(fails(GUARD, Change { timeout_secs: 450.5, ..CHANGE }), ChangeError::NotOnGrid(450.5));
    assert!(matches!(fails(GUARD, Change { timeout_secs: 3_600.0, ..CHANGE }), ChangeError::NotShorter { .. }));
    assert!(matches!(fails(700.0, CHANGE), ChangeError::BelowGuard { .. }));
}
