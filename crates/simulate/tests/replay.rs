//! Recordings, replayed: what is known of a flow leads to what is known to follow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![allow(clippy::float_cmp, reason = "whole numbers")]

#[path = "support/recording.rs"]
mod recording;
mod support;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_model::{Layer4, Protocol, TcpState, Timeout};
use plimsoll_recording::{Began, End, GapEnd, IdleGap, Life, Sight, State};
use plimsoll_simulate::{Harm, Outcome, Replay, ReplayOptions, Workload, run, sweep};

use proptest::prelude::*;

use recording::*;
use support::setup;

const HELD: Timeout = Timeout::Tcp(TcpState::Established);

fn played(replay: &Replay, sysctls: &[(&str, u32)]) -> Outcome {
    run(Workload::Replayed(replay), &setup(sysctls), &mut |_| ControlFlow::Continue(())).unwrap()
}

fn under(replay: &Replay, established: u32) -> Outcome {
    played(replay, &[("tcp_timeout_established", established)])
}

fn kills(outcome: &Outcome) -> [u64; 3] {
    Harm::ALL.map(|harm| outcome.false_kills.by(harm))
}

#[test]
fn a_silence_longer_than_the_timeout_kills_and_a_shorter_one_does_not() {
    let life = connection(1, 5.0);
    let replay = replay(std::slice::from_ref(&life), &[gap(&life, HELD, 100.0, 400.0)]);
    for (established, expected) in [(298, 1), (302, 0), (432_000, 0)] {
        assert_eq!(under(&replay, established).false_kills.total(), expected, "{established}");
    }
    let outcome = under(&replay, 298);
    assert_eq!((kills(&outcome), outcome.false_kills.flows_hit, outcome.flows), ([1, 0, 0], 1, 1));
    assert_eq!(outcome.called[0].called.port, Some(443));
    assert_eq!((outcome.called[0].flows, outcome.called[0].false_kills), (1, outcome.false_kills));
    // Between the gaps it talked, whatever the timeout.
    assert_eq!(under(&replay, 2).false_kills.total(), 1);
    assert_eq!(replay.silent_for_longer_than(Duration::from_secs(299)), [1]);
    assert_eq!(replay.silent_for_longer_than(Duration::from_secs(301)), [0]);
}

#[test]
fn what_stands_has_been_silent_before() {
    let life = standing(1);
    let silent = gap(&life, HELD, -200.25, 100.5);
    let replay = replay(std::slice::from_ref(&life), &[silent]);
    for (established, expected) in [(150, 1), (200, 1), (299, 1), (301, 0), (432_000, 0)] {
        assert_eq!(under(&replay, established).false_kills.total(), expected, "{established}");
    }
    // It is there from the begin, or not.
    assert_eq!(under(&replay, 150).series[1].live, 0);
    let outcome = under(&replay, 250);
    let alive = |secs| outcome.series.iter().rfind(|reading| reading.at <= Duration::from_secs(secs)).unwrap().live;
    assert_eq!((alive(10), alive(45), alive(60), alive(120)), (1, 1, 0, 1));
}

/// Its last data were never acknowledged: whatever the timeout of its state, it was held by 300 seconds.
#[test]
fn what_was_capped_is_capped_again() {
    let life = connection(1, 5.0);
    let of = |from, until| IdleGap { armed_secs: 300, ..gap(&life, HELD, from, until) };
    let within = replay(std::slice::from_ref(&life), &[of(100.0, 390.0)]);
    let beyond = replay(std::slice::from_ref(&life), &[IdleGap { armed_secs: 300, ..gap(&life, HELD, 100.0, 410.0) }]);
    let sysctls = [("tcp_timeout_established", 5000)];
    assert_eq!((played(&within, &sysctls).false_kills.total(), played(&beyond, &sysctls).false_kills.total()), (0, 1));
    let longer = [("tcp_timeout_established", 5000), ("tcp_timeout_unacknowledged", 600)];
    assert_eq!(played(&beyond, &longer).false_kills.total(), 0);
    // The same of one that stands.
    let life = standing(1);
    let old = IdleGap { armed_secs: 300, ..gap(&life, HELD, -250.0, 100.0) };
    let replay = replay(std::slice::from_ref(&life), &[old]);
    assert_eq!((played(&replay, &sysctls).false_kills.total(), played(&replay, &longer).false_kills.total()), (1, 0));
}

#[test]
fn what_expired_or_is_still_silent_kills_nothing() {
    let connections: Vec<_> = (1..=4).map(|number| connection(number, 5.0)).collect();
    let mut lives = connections.clone();
    lives[0] = ends(lives[0].clone(), 950.0, End::Expired);
    lives[1] = ends(lives[1].clone(), 950.0, End::Deleted);
    lives[3] = ends(standing(4), 500.0, End::Expired);
    let gaps = [
        open_gap(&lives[0], HELD, 100.0, GapEnd::Expired),
        open_gap(&lives[1], HELD, 100.0, GapEnd::OutOfSight),
        open_gap(&lives[2], HELD, 100.0, GapEnd::StillSilent),
        open_gap(&lives[3], HELD, -100.0, GapEnd::Expired),
    ];
    let replay = replay(&lives, &gaps);
    for established in [10, 50, 300, 2000] {
        assert_eq!(under(&replay, established).false_kills.total(), 0, "{established}");
    }
    // Neither that which expired is one that idles long.
    assert_eq!(replay.silent_for_longer_than(Duration::from_mins(5)), [2]);
    // What was deleted is gone.
    assert_eq!(under(&replay, 100_000).series.last().unwrap().live, 3);
}

/// Gone before the recording ended, without a gap of its own: it talked until its timeout's length before that.
#[test]
fn an_expired_flow_outside_of_the_cohort_talks_until_its_last_packet() {
    let life = life(Protocol::UDP, 1, 53, &[(5.0, State::Unreplied), (5.1, State::Replied)]);
    let once = replay(&[ends(life, 60.0, End::Expired)], &[]);
    assert_eq!(played(&once, &[]).packets, 2);
    let stream =
        recording::life(Protocol::UDP, 1, 53, &[(5.0, State::Unreplied), (5.1, State::Replied), (8.0, State::Assured)]);
    let other = gap(&recording::life(Protocol::UDP, 2, 53, &[(1.0, State::Unreplied)]), Timeout::UdpStream, 5.0, 6.0);
    let replay = replay(&[ends(stream, 650.0, End::Expired)], &[other]);
    let outcome = played(&replay, &[]);
    let last_alive = outcome.series.iter().rfind(|reading| reading.live > 0).unwrap().at.as_secs();
    assert!((615..=625).contains(&last_alive), "{last_alive}");
    assert_eq!((outcome.false_kills.total(), replay.not_played().stray_gaps), (0, 1));
}

#[test]
fn states_lead_to_states() {
    let closed = |number| {
        let life = then(then(connection(number, 5.0), 10.0, FIN_WAIT), 10.1, CLOSE_WAIT);
        then(then(life, 20.0, LAST_ACK), 20.1, TIME_WAIT)
    };
    let looked_at =
        |number, steps: &[(f64, State)]| Life { sight: Sight::Looks, ..life(Protocol::TCP, number, 80, steps) };
    let lives = [
        ends(closed(1), 140.2, End::Expired),
        // No state but the first and last were seen.
        looked_at(2, &[(5.0, SYN_SENT), (20.1, TIME_WAIT)]),
        looked_at(3, &[(20.1, TIME_WAIT)]),
        then(connection(4, 5.0), 30.0, CLOSE),
        ends(life(Protocol::TCP, 5, 80, &[(5.0, SYN_SENT)]), 5.1, End::Reset),
    ];
    for (number, dead_from) in [(0, 140), (1, 140), (2, 140), (3, 40), (4, 5)] {
        let replay = replay(&lives[number..=number], &[]);
        let outcome = played(&replay, &[]);
        let last_alive =
            outcome.series.iter().rfind(|reading| reading.live > 0).map_or(5, |reading| reading.at.as_secs());
        assert!(last_alive.abs_diff(dead_from) <= 5, "{number}: {last_alive}");
        assert_eq!((outcome.invalid, outcome.false_kills.total()), (0, 0), "{number}");
        assert_eq!(replay.not_played().states, 0.0);
    }
    // The port is used again: the SYN kills what is left of the first.
    let again = Life { key: plimsoll_recording::FlowKey(9), ..connection(1, 60.0) };
    let replay = replay(&[ends(closed(1), 60.0, End::Reopened), again], &[]);
    let outcome = played(&replay, &[]);
    assert_eq!((outcome.flows, outcome.removals.by(plimsoll_twin::RemovedBy::OpenedAgain), outcome.invalid), (2, 1, 0));
}

#[test]
fn a_half_closed_connection_is_talked_on_by_its_server() {
    let life = then(then(connection(1, 5.0), 10.0, FIN_WAIT), 10.1, CLOSE_WAIT);
    let held_by = Timeout::Tcp(TcpState::CloseWait);
    let replay = replay(std::slice::from_ref(&life), &[gap(&life, held_by, 50.0, 90.0)]);
    let close_wait = |secs| played(&replay, &[("tcp_timeout_close_wait", secs)]);
    assert_eq!((close_wait(60).false_kills.total(), close_wait(30).false_kills.total()), (0, 1));
    assert_eq!((close_wait(60).series.last().unwrap().live, close_wait(60).invalid), (1, 0));
}

#[test]
fn udp_and_icmp_are_kept_by_what_they_say() {
    let stream = life(Protocol::UDP, 1, 4500, &[(5.0, State::Unreplied), (5.1, State::Replied), (8.0, State::Assured)]);
    let ping =
        Life { sight: Sight::Looks, ..life(Protocol::ICMP, 2, 7, &[(5.0, State::Unreplied), (5.1, State::Replied)]) };
    let syslog = Life { sight: Sight::Looks, ..life(Protocol::UDP, 3, 514, &[(5.0, State::Unreplied)]) };
    let lives = [stream, ping, syslog];
    let gaps = [gap(&lives[0], Timeout::UdpStream, 100.0, 190.0), gap(&lives[1], Timeout::Icmp, 100.0, 120.0)];
    let replay = replay(&lives, &gaps);
    let outcome = played(&replay, &[]);
    assert_eq!((outcome.false_kills.total(), outcome.series.last().unwrap().live, outcome.invalid), (0, 3, 0));
    let outcome = played(&replay, &[("udp_timeout_stream", 80), ("icmp_timeout", 15)]);
    assert_eq!((kills(&outcome), outcome.series.last().unwrap().live), ([2, 0, 0], 3));
    let by_called: Vec<_> = outcome.called.iter().map(|flows| (flows.called.port, flows.false_kills.total())).collect();
    assert_eq!(by_called, [(Some(4500), 1), (None, 1), (Some(514), 0)]);
}

fn behind(life: Life, number: u16) -> Life {
    let reply = plimsoll_model::Tuple {
        destination: [198, 51, 100, 1].into(),
        layer4: match life.reply.layer4 {
            Layer4::Ports { source, .. } => Layer4::Ports { source, destination: 50_000 + number },
            other => other,
        },
        ..life.reply
    };
    Life { reply, ..life }
}

/// Behind a translation the server is taken to speak first: TCP is reset, UDP is not heard; and goes on when its client speaks.
#[test]
fn behind_a_translation_the_harm_is_worse() {
    let tcp = behind(connection(1, 5.0), 1);
    let udp = behind(
        life(Protocol::UDP, 2, 4500, &[(5.0, State::Unreplied), (5.1, State::Replied), (8.0, State::Assured)]),
        2,
    );
    let gaps = [gap(&tcp, HELD, 100.0, 400.0), gap(&udp, Timeout::UdpStream, 100.0, 190.0)];
    let replay = replay(&[tcp, udp], &gaps);
    assert_eq!(played(&replay, &[]).false_kills.total(), 0);
    let outcome = played(&replay, &[("tcp_timeout_established", 200), ("udp_timeout_stream", 80)]);
    assert_eq!((kills(&outcome), outcome.refused_flows), ([0, 1, 1], 0));
    // One entry is UDP's, or two while what the server's packet has made is there.
    assert!((1..=2).contains(&outcome.series.last().unwrap().live));
    // What stands is translated, too.
    let old = behind(standing(3), 3);
    let replay = recording::replay(std::slice::from_ref(&old), &[gap(&old, HELD, -100.0, 100.0)]);
    assert_eq!((kills(&under(&replay, 150)), kills(&under(&replay, 250))), ([0, 1, 0], [0, 0, 0]));
}

/// A service behind whose address another answers: the client's packet comes to the same one again.
#[test]
fn a_recorded_destination_stays() {
    let life = connection(1, 5.0);
    let behind = plimsoll_model::Tuple { source: [10, 9, 0, 1].into(), ..life.reply };
    let life = then(then(Life { reply: behind, ..life }, 500.0, FIN_WAIT), 500.1, CLOSE_WAIT);
    let replay = replay(std::slice::from_ref(&life), &[]);
    let outcome = played(&replay, &[]);
    assert_eq!((outcome.invalid, outcome.false_kills.total(), outcome.refused_flows), (0, 0, 0));
}

#[test]
fn a_weight_of_three_is_three_flows() {
    let one = Life { weight: 3.0, ..connection(1, 5.0) };
    let weighted = replay(std::slice::from_ref(&one), &[gap(&one, HELD, 100.0, 400.0)]);
    let three: Vec<_> = (1..=3).map(|number| connection(number, 5.0)).collect();
    let gaps: Vec<_> = three.iter().map(|life| gap(life, HELD, 100.0, 400.0)).collect();
    let three = replay(&three, &gaps);
    for established in [200, 432_000] {
        let [a, b] = [&weighted, &three].map(|replay| under(replay, established));
        assert_eq!((a.flows, a.peak.occupancy, kills(&a)), (b.flows, b.peak.occupancy, kills(&b)));
        assert_eq!(a.false_kills.flows_hit, b.false_kills.flows_hit);
    }
    // So it is of what stands: however its copies are spread, each is silent for as long.
    let old = Life { weight: 40.0, ..standing(1) };
    let replay = replay(std::slice::from_ref(&old), &[gap(&old, HELD, -200.25, 100.5)]);
    for (established, expected) in [(299, 40), (302, 0)] {
        assert_eq!(under(&replay, established).false_kills.total(), expected, "{established}");
    }
    // Fractions are drawn.
    let lives: Vec<_> = (1..=1000).map(|number| Life { weight: 1.5, ..connection(number, 5.0) }).collect();
    let flows = recording::replay(&lives, &[]).flows();
    assert!((1450..1550).contains(&flows), "{flows}");
}

/// Where not all can be played, each that is played stands for some, and the world is as much smaller.
#[test]
fn no_more_flows_are_played_than_may_be() {
    let secs = |number: u64| number as f64 / 20.0;
    let lives: Vec<_> = (1..=10_000).map(|number| connection(number, secs(number))).collect();
    let gaps: Vec<_> = lives.iter().map(|life| gap(life, HELD, 600.0, 900.0)).collect();
    let of = |most_flows| {
        Replay::of(lives.clone(), gaps.clone(), readings(), &ReplayOptions { most_flows, ..options() }).unwrap()
    };
    let (all, some) = (of(1_000_000), of(1500));
    assert_eq!((all.stands_for(), all.flows(), some.stands_for()), (1.0, 10_000, 8.0));
    assert!(some.flows() <= 1500);
    let sysctls = [("tcp_timeout_established", 200), ("max", 8000), ("buckets", 4096)];
    let (whole, small) = (played(&all, &sysctls), played(&some, &sysctls));
    assert_eq!((whole.capacity.0, small.capacity.0), (8000, 1000));
    let is_about = |small: u64, whole: u64| (small as f64 * 8.0 / whole as f64 - 1.0).abs() < 0.1;
    let refused = |outcome: &Outcome| outcome.refused_flows as f64 / outcome.flows as f64;
    assert!(is_about(small.flows, whole.flows));
    assert!(is_about(small.peak.occupancy.into(), whole.peak.occupancy.into()), "{:?} {:?}", small.peak, whole.peak);
    assert!(is_about(small.false_kills.total(), whole.false_kills.total()));
    assert!((refused(&whole) - 0.2).abs() < 0.01 && (refused(&small) - 0.2).abs() < 0.05);
}

/// Every setting sees the same flows, and the silences that are drawn for them.
#[test]
fn the_runs_of_a_sweep_share_what_is_drawn() {
    // One of ten is looked at, and of those half are silent.
    let lives: Vec<_> = (1..=1000)
        .map(|number| {
            let life = connection(number, (number % 100) as f64);
            then(then(life, 800.0, FIN_WAIT), 800.1, CLOSE_WAIT)
        })
        .collect();
    let gaps: Vec<_> =
        lives.iter().step_by(20).map(|life| IdleGap { weight: 10.0, ..gap(life, HELD, 200.0, 500.0) }).collect();
    let replay = replay(&lives, &gaps);
    let setups: Vec<_> = [250, 290, 350].iter().map(|secs| setup(&[("tcp_timeout_established", *secs)])).collect();
    let threads = NonZeroUsize::new(2).unwrap();
    let swept = sweep(&|| Workload::Replayed(&replay), &setups, threads, &|_, _| ControlFlow::Continue(())).unwrap();
    let hit: Vec<_> = swept.iter().map(|outcome| outcome.false_kills.flows_hit).collect();
    assert!((400..=600).contains(&hit[0]) && hit[0] == hit[1] && hit[2] < hit[0] / 2, "{hit:?}");
    assert_eq!(replay.silent_for_longer_than(Duration::from_mins(4)), [hit[0]]);
    assert!(swept[2].mean_occupancy().live > swept[0].mean_occupancy().live);
    let alone = run(Workload::Replayed(&replay), &setups[1], &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(alone, swept[1]);
}

/// Whoever waits can stop it meanwhile, though packets come by twos and readings are far apart.
#[test]
fn the_observer_is_told_between_readings() {
    let busy = |number| Life { sight: Sight::Looks, ..ends(connection(number, 5.0), 20_000.0, End::Open) };
    let replay = replay(&[busy(1), busy(2)], &[]);
    let mut told = 0;
    let mut observer = |_| {
        told += 1;
        ControlFlow::Continue(())
    };
    let outcome = run(Workload::Replayed(&replay), &setup(&[("tcp_timeout_established", 1)]), &mut observer).unwrap();
    assert!(outcome.packets > 150_000, "{}", outcome.packets);
    assert!(told > outcome.series.len(), "{told} of {}", outcome.series.len());
}

#[test]
fn what_is_played_can_be_a_beginning() {
    let lives = [connection(1, 5.0), connection(2, 500.0)];
    let mut counted = readings();
    for (reading, occupancy) in counted.iter_mut().zip([10, 30]) {
        reading.occupancy = Some(plimsoll_model::Occupancy(occupancy));
    }
    counted.insert(1, plimsoll_recording::TableReading { at: at(200.0), ..counted[0].clone() });
    let whole = || Replay::of(lives.clone(), [], counted.clone(), &options()).unwrap();
    assert_eq!((whole().recorded_mean_occupancy(), whole().flows()), (Some(18.0), 2));
    let begin = whole().lasting(Duration::from_mins(5));
    assert_eq!((begin.recorded_mean_occupancy(), begin.flows()), (Some(10.0), 1));
    assert_eq!((under(&begin, 432_000).lasted, under(&begin, 432_000).flows), (Duration::from_mins(5), 1));
}

#[test]
fn what_is_not_played_is_told() {
    let sctp = life(Protocol::SCTP, 1, 2905, &[(5.0, State::Sctp(plimsoll_model::SctpState::Established))]);
    let sctp = Life { weight: 5.0, ..sctp };
    let odd = then(then(connection(2, 5.0), 10.0, State::Unknown), 20.0, FIN_WAIT);
    let weightless = Life { weight: f64::NAN, ..connection(3, 5.0) };
    let stranger = gap(&connection(9, 5.0), HELD, 10.0, 20.0);
    let replay = replay(&[sctp.clone(), odd, weightless], &[stranger]);
    let told = replay.not_played();
    assert_eq!((told.flows, told.states, told.stray_gaps, told.flows_taken_as_silent), (5.0, 1.0, 1, 1.0));
    assert!(Replay::of([sctp], [], readings(), &options()).is_err());
}

/// Nothing is known of its silences: but under what was in force its entry was there.
#[test]
fn what_nobody_knows_is_silent_for_as_long_as_it_can_have_been() {
    let stream = life(Protocol::UDP, 1, 53, &[(5.0, State::Unreplied), (5.1, State::Replied), (8.0, State::Assured)]);
    let replay = replay(&[stream], &[]);
    assert_eq!(replay.not_played().flows_taken_as_silent, 1.0);
    assert_eq!(played(&replay, &[]).false_kills.total(), 0);
    assert!(played(&replay, &[("udp_timeout_stream", 100)]).false_kills.total() > 5);
}

/// What begins between two looks, and what comes into sight later.
#[test]
fn what_is_first_seen_later_was_there_or_began() {
    let seen = Life { began: Began::Before(at(300.0)), ..standing(1) };
    let young = replay(std::slice::from_ref(&seen), &[gap(&seen, HELD, 295.0, 400.0)]);
    // A handshake, and what broke its silence.
    assert_eq!(under(&young, 432_000).packets, 5);
    let old = replay(std::slice::from_ref(&seen), &[gap(&seen, HELD, 100.0, 400.0)]);
    assert_eq!((under(&old, 298).false_kills.total(), under(&old, 302).false_kills.total()), (1, 0));
}

fn any_state() -> impl Strategy<Value = State> {
    let tcp = (0..TcpState::ALL.len()).prop_map(|number| State::Tcp(TcpState::ALL[number]));
    prop_oneof![4 => tcp, 1 => Just(State::Unreplied), 1 => Just(State::Replied), 1 => Just(State::Assured)]
}

prop_compose! {
    /// A life that no recorder would write, or one that it would.
    fn any_life()(
        number in 1_u64..40,
        protocol in prop_oneof![Just(Protocol::TCP), Just(Protocol::UDP), Just(Protocol::ICMP), Just(Protocol::GRE)],
        steps in prop::collection::vec((-100.0..1100.0, any_state()), 1..6),
        end in (0..End::ALL.len()).prop_map(|number| End::ALL[number]),
        sight in (0..Sight::ALL.len()).prop_map(|number| Sight::ALL[number]),
        ended in -50.0..1200.0,
        weight in prop_oneof![Just(1.0), 0.0..20.0, Just(f64::INFINITY), Just(1e18)],
        is_standing in any::<bool>(),
        translation in 0_u16..3,
    ) -> Life {
        let life = life(protocol, number, 443, &steps);
        let began = if is_standing { Began::Before(at(steps[0].0)) } else { life.began };
        let life = Life { began, end, sight, ended_at: at(ended), weight, ..life };
        if translation == 0 { behind(life, translation) } else { life }
    }
}

prop_compose! {
    fn any_gap()(
        number in 1_u64..40,
        held_by in prop_oneof![Just(HELD), Just(Timeout::Udp), Just(Timeout::UdpStream), Just(Timeout::Tcp(TcpState::CloseWait))],
        armed_secs in 0_u32..1000,
        from in -1000.0..1100.0,
        lasts in 0.0..2000.0,
        end in (0..GapEnd::ALL.len()).prop_map(|number| GapEnd::ALL[number]),
    ) -> IdleGap {
        IdleGap { armed_secs, end, ..gap(&connection(number, 0.0), held_by, from, from + lasts) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a recording says, it is played to its end, and the same each time.
    #[test]
    fn any_recording_is_played(
        lives in prop::collection::vec(any_life(), 1..30),
        gaps in prop::collection::vec(any_gap(), 0..60),
        established in 1_u32..2000,
        most_flows in 1_u64..200,
    ) {
        let options = ReplayOptions { most_flows, ..options() };
        let made = || Replay::of(lives.clone(), gaps.clone(), readings(), &options);
        let Ok(replay) = made() else { return Ok(()) };
        let outcome = under(&replay, established);
        prop_assert!(outcome.flows <= most_flows && replay.flows() <= most_flows);
        prop_assert_eq!(outcome.flows, outcome.called.iter().map(|called| called.flows).sum::<u64>());
        let kills: u64 = outcome.called.iter().map(|called| called.false_kills.total()).sum();
        prop_assert_eq!(outcome.false_kills.total(), kills);
        prop_assert_eq!(under(&made().unwrap(), established), outcome);
    }
}
