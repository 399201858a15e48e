//! What is told of small histories, each with one thing to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times and counts of a simulation, small and not negative"
)]

use plimsoll_churn::{Assumption, Direction, Needs, Outlook};
use plimsoll_draw::Draw;
use plimsoll_forecast::{Alarm, Forecast, History, Limit, NotKnown, Point, Read, Span, forecast};
use plimsoll_model::Interval;

const LIMIT: [Limit; 1] = [Limit { since_secs: 0.0, entries: 10_000.0 }];

/// Readings each 10 s between two times, with a little noise.
fn readings(from_secs: u32, to_secs: u32, entries: impl Fn(f64) -> f64) -> Vec<Point> {
    let mut draw = Draw::new(7);
    let point = |at: u32| {
        let at_secs = f64::from(at);
        Point { at_secs, entries: entries(at_secs) + 20.0 * (draw.fraction() - 0.5), new_per_sec: None }
    };
    (from_secs..=to_secs).step_by(10).map(point).collect()
}

fn told(fine: &[Point], limits: &[Limit]) -> Forecast {
    forecast(&History { fine, coarse: &[], limits, restarted_at_secs: None }, &[]).unwrap()
}

fn levels_off(entries: f64) -> Outlook {
    Outlook::LevelsOff {
        direction: Direction::Rises,
        entries: Interval { low: 0.95 * entries, value: entries, high: 1.05 * entries },
        utilization: None,
        within_secs: 120.0,
        for_secs: None,
        assuming: Assumption::Nothing,
    }
}

#[test]
fn nothing_is_told_of_nothing() {
    let history = |fine, limits| History { fine, coarse: &[], limits, restarted_at_secs: None };
    assert_eq!(forecast(&history(&[], &LIMIT), &[]), Err(NotKnown::NoReading));
    let fine = readings(0, 30, |_| 5_000.0);
    assert_eq!(forecast(&history(&fine, &LIMIT), &[]), Err(NotKnown::TooShort { readings: 4, needed: 6 }));
    assert_eq!(forecast(&history(&fine, &[]), &[]), Err(NotKnown::NoLimit));
    let because = "too few entries were read".to_string();
    let outlook = Outlook::NotKnown { because, needs: Needs::LargerSample };
    assert!(
        forecast(&history(&fine, &LIMIT), &[Read { at_secs: 30.0, outlook: &outlook }]).is_err(),
        "an outlook that knows nothing adds nothing"
    );
}

#[test]
fn what_the_entries_say_is_enough_for_the_next_minutes_and_for_no_more() {
    let fine = readings(0, 0, |_| 2_000.0);
    let history = History { fine: &fine, coarse: &[], limits: &LIMIT, restarted_at_secs: None };
    let told = |outlook: &Outlook| forecast(&history, &[Read { at_secs: 0.0, outlook }]).unwrap();
    let below = told(&levels_off(6_000.0));
    assert!(below.probability_within(900).unwrap() < 0.01, "{below:?}");
    assert_eq!(
        (below.probability_within(3600), below.probability_within(86_400), below.full_in_secs),
        (None, None, None)
    );
    let ahead = below.ahead.last().unwrap();
    assert!(ahead.in_secs == 900 && ahead.entries.covers(6_000.0) && ahead.entries.high < 7_000.0, "{below:?}");
    let told = told(&levels_off(12_000.0));
    // What was seen for a moment may end.
    assert!(told.probability_within(900).unwrap() > 0.7, "{told:?}");
    assert!(told.full_in_secs.unwrap().value < 120.0, "{told:?}");
    assert_eq!(told.probability_within(86_400), told.probability_within(900), "full soon is full within a day");
}

#[test]
fn what_was_read_is_used_until_it_is_old_or_refuted() {
    // A storm for a minute: the entries told where it leads, and then they could not be read.
    let storm = |at: f64| 2_000.0 + 40.0 * (at - 3_000.0).max(0.0);
    let fine = readings(0, 3_060, storm);
    let history = History { fine: &fine, coarse: &[], limits: &LIMIT, restarted_at_secs: None };
    let told = |outlook: &Outlook, ago: f64| forecast(&history, &[Read { at_secs: 3_060.0 - ago, outlook }]).unwrap();
    let (level, refuted) = (levels_off(6_000.0), levels_off(3_000.0));
    for (outlook, ago, is_used) in
        [(&level, 0.0, true), (&level, 60.0, true), (&level, 120.0, false), (&refuted, 60.0, false)]
    {
        let told = told(outlook, ago);
        assert_eq!(told.because.starts_with("what comes now leads to"), is_used, "{ago} s ago: {told:?}");
    }
}

#[test]
fn an_alarm_is_of_the_nearest_time() {
    let told_of = |per_sec: f64| told(&readings(0, 28_800, |at| 2_000.0 + per_sec * at), &LIMIT).alarm();
    // From 2,000 of 10,000: after eight hours 50 minutes, ten hours, and weeks are left.
    assert_eq!(told_of(0.2515), Some(Alarm::WithinHour));
    assert_eq!(told_of(0.123), Some(Alarm::WithinDay));
    assert_eq!(told_of(0.002), None);
}

#[test]
fn a_storm_may_end_and_the_entries_go_back_to_where_they_were() {
    let fine = readings(0, 3_600, |at| 2_000.0 + 20.0 * (at - 3_000.0).clamp(0.0, 150.0));
    let told = told(&fine, &LIMIT);
    let ahead = told.ahead.iter().find(|ahead| ahead.in_secs == 900).unwrap();
    assert!(ahead.entries.covers(5_000.0) && ahead.entries.covers(2_000.0), "{told:?}");
}

#[test]
fn what_has_begun_with_the_newest_reading_may_go_on() {
    let fine = readings(0, 3_610, |at| 2_000.0 + 300.0 * (at - 3_600.0).max(0.0));
    let told = told(&fine, &LIMIT);
    assert!(told.probability_within(900).unwrap() > 0.2, "{told:?}");
    assert_eq!(told.alarm(), Some(Alarm::WithinHour), "{told:?}");
}

#[test]
fn a_full_table_is_full() {
    let fine = readings(0, 600, |at| (9_000.0 + 10.0 * at).min(10_000.0) + 10.0);
    let told = told(&fine, &LIMIT);
    assert_eq!(told.within.iter().map(|within| within.probability).collect::<Vec<_>>(), [1.0; 3]);
    assert_eq!(told.full_in_secs.map(|full_in| (full_in.value, full_in.high)), Some((0.0, Some(0.0))));
}

#[test]
fn a_full_table_is_full_between_two_runs_of_the_garbage_collector_and_not_when_it_was_relieved() {
    let mut fine = readings(0, 600, |_| 10_020.0);
    fine.extend(readings(610, 630, |_| 9_500.0));
    assert_eq!(told(&fine, &LIMIT).because, "the table is full");
    fine.extend(readings(640, 700, |_| 4_000.0));
    assert!(told(&fine, &LIMIT).probability_within(900).is_none_or(|chance| chance < 0.1), "{:?}", told(&fine, &LIMIT));
}

#[test]
fn an_hour_tells_of_four_hours_and_not_of_a_day() {
    let told = told(&readings(0, 3600, |_| 5_000.0), &LIMIT);
    assert!(told.probability_within(3600).unwrap() < 0.01, "{told:?}");
    assert_eq!(told.probability_within(86_400), None);
    assert_eq!(told.ahead.iter().map(|ahead| ahead.in_secs).max(), Some(10_800));
    assert!(told.because.starts_with("has stayed at about 50"), "{}", told.because);
}

#[test]
fn a_steady_rise_is_timed() {
    // 1,000 entries of room at half an entry a second: 2,000 s.
    let told = told(&readings(0, 3600, |at| 7_200.0 + 0.5 * at), &LIMIT);
    let full_in = told.full_in_secs.unwrap();
    assert!((full_in.value / 2_000.0 - 1.0).abs() < 0.1 && full_in.low > 1_500.0, "{told:?}");
    assert_eq!(full_in.high, None, "a trend may end");
    assert!(told.probability_within(3600).unwrap() > 0.7, "{told:?}");
    assert!(told.because.starts_with("rises by 30 ±"), "{}", told.because);
}

#[test]
fn time_in_which_nothing_was_read_is_no_slope_and_no_line_is_drawn_through_a_restart() {
    let mut fine = readings(0, 1_800, |_| 5_000.0);
    fine.extend(readings(3_000, 3_600, |_| 5_000.0));
    let told_of = |restarted_at_secs| {
        forecast(&History { fine: &fine, coarse: &[], limits: &LIMIT, restarted_at_secs }, &[]).unwrap()
    };
    assert!(told_of(None).because.contains("for 60 min"), "{:?}", told_of(None));
    assert!(told_of(Some(2_500.0)).because.contains("for 10 min"), "{:?}", told_of(Some(2_500.0)));

    // It fell to nothing at the restart, and fills again as it did before.
    let mut fine = readings(0, 1_800, |_| 5_000.0);
    fine.extend(readings(1_810, 2_000, |at| 100.0 + 5.0 * (at - 1_810.0)));
    let told = forecast(&History { fine: &fine, coarse: &[], limits: &LIMIT, restarted_at_secs: Some(1_805.0) }, &[]);
    assert!(told.as_ref().unwrap().because.ends_with("a minute for 3 min"), "{told:?}");
}

#[test]
fn a_limit_that_was_reached_is_no_level() {
    // Full at 10,000 until the limit was raised, and rising since: 200 s remain.
    let entries = |at: f64| if at < 1_800.0 { 10_010.0 } else { 10_010.0 + 5.0 * (at - 1_800.0) };
    let fine = readings(0, 2_100, entries);
    let raised = [LIMIT[0], Limit { since_secs: 1_795.0, entries: 12_500.0 }];
    let told = told(&fine, &raised);
    assert!(told.because.starts_with("rises by") && told.because.ends_with("a minute for 5 min"), "{told:?}");
    assert!((told.full_in_secs.unwrap().value / 198.0 - 1.0).abs() < 0.2, "{told:?}");
}

#[test]
fn a_limit_that_was_lowered_is_the_one_that_counts() {
    let fine = readings(0, 3_600, |_| 5_000.0);
    let lowered = [LIMIT[0], Limit { since_secs: 3_000.0, entries: 5_015.0 }];
    assert!(told(&fine, &lowered).probability_within(900).unwrap() > 0.3);
    assert!(told(&fine, &LIMIT).probability_within(900).unwrap() < 0.01);
}

#[test]
fn a_clock_that_was_set_back_leaves_what_came_after() {
    let mut fine = readings(10_000, 13_600, |at| 20_000.0 - at);
    fine.extend(readings(5_000, 5_600, |_| 6_000.0));
    assert!(told(&fine, &LIMIT).because.contains("for 10 min"), "{:?}", told(&fine, &LIMIT));
}

#[test]
fn numbers_that_are_none_are_left_out() {
    let mut fine = readings(0, 3_600, |_| 5_000.0);
    fine[10].entries = f64::NAN;
    fine[20].at_secs = f64::INFINITY;
    let told = told(&fine, &LIMIT);
    assert!(told.within.iter().all(|within| (0.0..0.01).contains(&within.probability)), "{told:?}");
}

/// Days of spans, with the last hour in detail.
fn days(days: f64, entries: impl Fn(f64) -> f64) -> (Vec<Point>, Vec<Span>) {
    let end = days * 86_400.0;
    let spans = (0..).map(|at| f64::from(at) * Span::SECS).take_while(|from| from + Span::SECS <= end);
    let span = |from: f64| {
        let mean = entries(from + Span::SECS / 2.0);
        Span { from_secs: from, least: mean - 10.0, mean, most: mean + 10.0 }
    };
    (readings(end as u32 - 3_600, end as u32, &entries), spans.map(span).collect())
}

/// Up and down once a day between 3,000 and 9,000, the most at noon.
fn up_and_down(at: f64) -> f64 {
    6_000.0 - 3_000.0 * (at / 86_400.0 * std::f64::consts::TAU).cos()
}

#[test]
fn a_day_is_known_when_two_were_seen() {
    // At 8 in the morning, where it rises the most.
    let told = |count: f64, entries: &dyn Fn(f64) -> f64| {
        let (fine, coarse) = days(count, entries);
        forecast(&History { fine: &fine, coarse: &coarse, limits: &LIMIT, restarted_at_secs: None }, &[]).unwrap()
    };
    let (one, three) = (told(1.33, &up_and_down), told(3.33, &up_and_down));
    assert!(one.probability_within(86_400).unwrap() > 0.3, "one morning leads to a full table: {one:?}");
    assert!(three.probability_within(86_400).unwrap() < 0.05, "three do not: {three:?}");
    assert!(three.because.ends_with("beside the shape of 3 days"), "{}", three.because);
    let at_noon = three.ahead.iter().find(|ahead| ahead.in_secs == 10_800).unwrap();
    assert!(at_noon.entries.covers(up_and_down(11.0 * 3600.0)), "{three:?}");
    // Each day 260 more: two hundred too many at noon of the fifth.
    let later = told(4.01, &|at: f64| up_and_down(at) + 260.0 * (at / 86_400.0));
    assert!(later.probability_within(86_400).unwrap() > 0.7, "{later:?}");
    assert!((later.full_in_secs.unwrap().value / 3600.0 - 10.0).abs() < 3.0, "{later:?}");
}

#[test]
fn every_figure_is_a_number_and_in_order_whatever_the_history() {
    for seed in 0..500 {
        let mut draw = Draw::new(seed);
        let mut at_secs = 0.0;
        let mut entries = 10_000.0 * draw.fraction();
        let mut point = |draw: &mut Draw| {
            at_secs += [1.0, 10.0, 10.0, 300.0, 100_000.0][draw.below(5) as usize];
            entries =
                (entries + 500.0 * (draw.fraction() - 0.5)).max(0.0) * [1.0, 1.0, 1.0, 0.0][draw.below(4) as usize];
            let new_per_sec = [None, Some(100.0 * draw.fraction()), Some(f64::NAN)][draw.below(3) as usize];
            Point { at_secs, entries, new_per_sec }
        };
        let fine: Vec<_> = (0..draw.below(400)).map(|_| point(&mut draw)).collect();
        let coarse: Vec<_> = (0..draw.below(2_016))
            .map(|at| Span {
                from_secs: 300.0 * f64::from(at),
                least: 0.0,
                mean: 5_000.0 * draw.fraction(),
                most: 5_000.0,
            })
            .collect();
        let limits = [Limit { since_secs: 0.0, entries: f64::from(1 + draw.below(12_000)) }];
        let outlook = levels_off(f64::from(draw.below(20_000)));
        let at_secs = fine.last().map_or(0.0, |point| point.at_secs) - f64::from(draw.below(200));
        let history = History { fine: &fine, coarse: &coarse, limits: &limits, restarted_at_secs: None };
        let Ok(told) = forecast(&history, &[Read { at_secs, outlook: &outlook }][draw.below(2) as usize..]) else {
            continue;
        };
        let chances: Vec<_> = told.within.iter().map(|within| within.probability).collect();
        assert!(
            chances.iter().all(|chance| (0.0..=1.0 + 1e-9).contains(chance)) && chances.is_sorted(),
            "{seed} {told:?}"
        );
        for entries in told.ahead.iter().map(|ahead| ahead.entries) {
            assert!(
                0.0 <= entries.low && entries.low <= entries.value && entries.value <= entries.high,
                "{seed} {told:?}"
            );
        }
        if let Some(full_in) = told.full_in_secs {
            assert!(
                full_in.low <= full_in.value && full_in.high.is_none_or(|high| full_in.value <= high),
                "{seed} {told:?}"
            );
        }
    }
}
