//! Against cases that can be worked out by hand, and one of the literature.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use plimsoll_survival::{Ages, Flow, Gap, Observed, Share, Survival, flows_without_harm_for, survival};

fn fitted(gaps: &[Gap]) -> Survival {
    let mut observed = Observed::new(Ages::with(&[]).unwrap());
    for (peer, gap) in (0..).zip(gaps) {
        observed.add(&Flow::new(peer, vec![*gap]));
    }
    let survival = survival(&observed);
    assert!(survival.has_converged());
    survival
}

fn ended(seen_from: f64, after: f64, until: f64) -> Gap {
    Gap::ended(seen_from, after, until).unwrap()
}

fn lost(seen_from: f64, after: f64) -> Gap {
    Gap::lost(seen_from, after).unwrap()
}

fn close(value: Option<f64>, expected: f64, within: f64) {
    let value = value.unwrap();
    assert!((value - expected).abs() <= within, "{value} is not {expected}");
}

#[test]
fn lengths_that_are_known_give_the_estimate_of_kaplan_and_meier() {
    // Remissions under 6-MP, in weeks (Gehan 1965), as every textbook has them.
    let ended_at = [6, 6, 6, 7, 10, 13, 16, 22, 23];
    let lost_at = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
    let gaps = ended_at.map(f64::from).map(|at| ended(0.0, at - 1.0, at)).into_iter();
    let gaps: Vec<Gap> = gaps.chain(lost_at.map(f64::from).map(|at| lost(0.0, at))).collect();
    let survival = fitted(&gaps);
    let known = [
        (5.0, 1.0),
        (6.0, 0.8571),
        (7.0, 0.8067),
        (10.0, 0.7529),
        (13.0, 0.6902),
        (16.0, 0.6275),
        (22.0, 0.5378),
        (23.0, 0.4482),
    ];
    for (age, expected) in known {
        close(survival.at(age), expected, 5e-5);
    }
    close(survival.at(35.0), 0.4482, 5e-5);
    assert!((survival.known_until_secs() - 35.0).abs() < 1e-9);
    assert_eq!(survival.at(35.5), None);
    assert_eq!(survival.bounds(40.0, 0.0).0.to_bits(), 0.0_f64.to_bits());
    assert!((survival.bounds(40.0, 0.0).1 - 0.4482).abs() < 5e-5);
    // Fifteen to end at 10 s.
    assert!((survival.at_risk(9.0) - 15.0).abs() < 1e-9, "{}", survival.at_risk(9.0));
}

#[test]
fn lengths_between_looks_give_the_estimate_of_turnbull() {
    // Months to breast retraction after radiotherapy alone (Finkelstein and Wolfe 1985), and the masses of its
    // estimate.
    let ended_between = [
        (6, 10),
        (0, 7),
        (7, 16),
        (7, 14),
        (37, 44),
        (0, 8),
        (4, 11),
        (11, 15),
        (25, 37),
        (26, 40),
        (27, 34),
        (36, 44),
        (36, 48),
        (17, 25),
        (11, 18),
        (5, 12),
        (0, 5),
        (5, 11),
        (19, 35),
        (17, 25),
        (19, 26),
    ];
    let lost_at = [45, 46, 46, 17, 15, 22, 46, 46, 46, 46, 46, 37, 40, 46, 38, 37, 18, 24, 36, 24, 32, 33, 37, 34, 36];
    assert_eq!(ended_between.len() + lost_at.len(), 46);
    let gaps = ended_between.iter().map(|(after, until)| ended(0.0, f64::from(*after), f64::from(*until)));
    let gaps: Vec<Gap> = gaps.chain(lost_at.map(f64::from).map(|at| lost(0.0, at))).collect();
    let survival = fitted(&gaps);
    let masses = [
        (4, 5, 0.0463),
        (6, 7, 0.0334),
        (7, 8, 0.0887),
        (11, 12, 0.0708),
        (24, 25, 0.0926),
        (33, 34, 0.0818),
        (38, 40, 0.1209),
    ];
    let mut left = 1.0;
    for (after, until, mass) in masses {
        close(survival.at(f64::from(after)), left, 1e-3);
        left -= mass;
        close(survival.at(f64::from(until)), left, 1e-3);
    }
    close(survival.at(46.0), 0.4656, 1e-3);
}

#[test]
fn spans_that_overlap() {
    // p is the mass in (0, 1], 1 - p that in (1, 2]: likelihood p² (1 - p), so p = 2/3.
    let survival = fitted(&[ended(0.0, 0.0, 1.0), ended(0.0, 0.0, 1.0), ended(0.0, 0.0, 2.0), ended(0.0, 1.0, 2.0)]);
    close(survival.at(1.0), 1.0 / 3.0, 1e-4);
    close(survival.at(2.0), 0.0, 1e-9);
}

#[test]
fn a_gap_is_at_risk_from_where_it_was_seen() {
    let survival = fitted(&[ended(0.0, 2.0, 3.0), ended(2.0, 4.0, 5.0), lost(0.0, 4.0), ended(4.0, 5.0, 6.0)]);
    // At 3 s three are at risk; at 5 s two (one was lost at 4 s, another seen from there); at 6 s one.
    close(survival.at(2.0), 1.0, 1e-9);
    close(survival.at(3.0), 2.0 / 3.0, 1e-6);
    close(survival.at(5.0), 1.0 / 3.0, 1e-6);
    close(survival.at(6.0), 0.0, 1e-9);
    close(survival.given(5.0, 3.0), 0.5, 1e-6);
}

#[test]
fn what_is_before_the_first_look_is_not_known() {
    let survival = fitted(&[ended(20.0, 30.0, 31.0), lost(20.0, 50.0)]);
    assert_eq!(survival.at(31.0), None);
    assert_eq!(survival.bounds(31.0, 0.0), (0.0, 1.0));
    close(survival.given(31.0, 20.0), 0.5, 1e-9);
    assert!(survival.known_until_secs().abs() < 1e-9);
    assert!((survival.known_until_from_secs(20.0) - 50.0).abs() < 1e-9);
}

#[test]
fn beyond_the_grid_nothing_is_known() {
    let survival = fitted(&[ended(0.0, 1.0, 1e9), lost(0.0, 2e9)]);
    assert!(survival.at(1e6).is_none());
    close(survival.at(1.0), 1.0, 1e-9);
}

#[test]
fn thirty_thousand_flows_without_harm_are_one_in_ten_thousand() {
    assert_eq!(flows_without_harm_for(Share::new(1e-4).unwrap()), 29_956);
    assert_eq!(flows_without_harm_for(Share::new(0.01).unwrap()), 299);
    assert_eq!(flows_without_harm_for(Share::new(0.5).unwrap()), 5);
}

#[test]
fn what_is_no_gap() {
    assert!(Gap::ended(0.0, 5.0, 5.0).is_err());
    assert!(Gap::lost(6.0, 5.0).is_err());
    assert!(Gap::lost(-1.0, 5.0).is_err());
    assert!(Gap::lost(0.0, f64::NAN).is_err());
    assert!(Gap::lost(0.0, f64::INFINITY).is_err());
}
