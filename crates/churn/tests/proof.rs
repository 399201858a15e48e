//! The stated intervals hold the truth as often as they say: over many seeded tables of known traffic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod simulated;

use plimsoll_churn::{Outlook, Series, Timeline, TimelineCourse, churn, flow};
use plimsoll_model::NamespaceSnapshot;
use simulated::{Random, Simulated, Traffic};

const DRAWS: u64 = 500;
/// What is promised is 95 %; the draws are finite.
const COVERED: f64 = 0.93;

/// How often something held.
#[derive(Debug, Default)]
struct Tally {
    held: u32,
    of: u32,
    first_miss: Option<String>,
}

impl Tally {
    fn add(&mut self, holds: impl Into<bool>, told: impl FnOnce() -> String) {
        let holds = holds.into();
        self.of += 1;
        self.held += u32::from(holds);
        if !holds && self.first_miss.is_none() {
            self.first_miss = Some(told());
        }
    }

    fn judge(&self, what: &str) {
        let share = f64::from(self.held) / f64::from(self.of);
        println!("{what}: {} of {} ({:.1} %)", self.held, self.of, share * 100.0);
        assert!(self.of >= 500, "{what}: only {} were judged", self.of);
        assert!(share >= COVERED, "{what}: {} of {}; for one, {:?}", self.held, self.of, self.first_miss);
    }
}

fn timeline(ns: &NamespaceSnapshot, series: Series) -> Timeline {
    let told = churn(ns).unwrap();
    told.timelines.into_iter().find(|timeline| timeline.series == series).unwrap()
}

/// Three phases of rates between 2 and 32 a second, the oldest first: from and to (seconds ago), and the rate.
fn phases(random: &mut Random, timeout_secs: f64) -> [(f64, f64, f64); 3] {
    let mut rate = || 2.0 * 16.0_f64.powf(random.unit());
    let third = timeout_secs / 3.0;
    [(timeout_secs, 2.0 * third, rate()), (2.0 * third, third, rate()), (third, 0.0, rate())]
}

/// Judges each bin that lies within one phase.
fn judge_bins(tally: &mut Tally, timeline: &Timeline, phases: &[(f64, f64, f64)]) {
    let TimelineCourse::Bins(bins) = &timeline.course else { panic!("{timeline:?}") };
    for bin in bins {
        let within = |(from, to, _): &&(f64, f64, f64)| {
            f64::from(bin.to_secs_ago) <= *from && f64::from(bin.from_secs_ago) >= *to
        };
        if let Some((_, _, truth)) = phases.iter().find(within) {
            tally.add(bin.per_sec.covers(*truth), || format!("{truth} in {bin:?}"));
        }
    }
}

/// Judges some series of many tables of one kind of traffic.
fn judge_timelines(what: &str, traffic: Traffic, series: &[Series], prepare: impl Fn(&mut Simulated)) {
    let mut tallies: Vec<_> = series.iter().map(|series| (*series, Tally::default())).collect();
    for seed in 0..DRAWS {
        let mut table = Simulated::new(seed);
        prepare(&mut table);
        let timeout_secs = f64::from(table.timeouts.get_secs(traffic.timeout).unwrap());
        let phases = phases(&mut table.random, timeout_secs);
        for (from, to, per_sec) in phases {
            table.arrive(traffic.between(from, to), per_sec);
        }
        let ns = table.read();
        for (series, tally) in &mut tallies {
            judge_bins(tally, &timeline(&ns, *series), &phases);
        }
    }
    for (series, tally) in tallies {
        tally.judge(&format!("{what}: {}", series.words()));
    }
}

#[test]
fn rates_read_whole_by_state_and_by_timestamp() {
    judge_timelines("all entries", Traffic::closes(), &[Series::Closes, Series::NewFlows], |_| {});
}

#[test]
fn rates_from_a_sample() {
    judge_timelines("500 entries drawn", Traffic::closes(), &[Series::Closes], |table| table.sample = Some(500));
}

#[test]
fn rates_of_unanswered_udp() {
    judge_timelines("all entries", Traffic::udp(), &[Series::OneWayUdp], |_| {});
}

#[test]
fn rates_where_ports_are_used_again_at_random() {
    let one_client = Traffic::closes().sources(1).ports(40_000, 41_999);
    judge_timelines("over 2,000 ports", one_client, &[Series::Closes], |table| {
        table.local_ports = Some((40_000, 41_999));
    });
}

#[test]
fn rates_where_one_client_in_thirty_sends_its_last_ack_again() {
    let mut tally = Tally::default();
    for seed in 0..DRAWS {
        let mut table = Simulated::new(seed);
        let phases = phases(&mut table.random, 120.0);
        for (from, to, per_sec) in phases {
            // Those whose ACK was lost are armed again by the FIN that comes again: half a second later at most, twice.
            table.arrive(Traffic::closes().between(from, to), per_sec * 29.0 / 30.0);
            let late = (from - 0.5).max(0.0);
            table.arrive(Traffic::closes().between(late, (to - 0.5).max(0.0)), per_sec / 30.0);
        }
        judge_bins(&mut tally, &timeline(&table.read(), Series::Closes), &phases);
    }
    tally.judge("closes, some armed again");
}

#[test]
fn the_rate_of_now_and_the_level_that_it_leads_to() {
    let (mut rates, mut levels) = (Tally::default(), Tally::default());
    for seed in 0..DRAWS {
        let mut table = Simulated::new(seed);
        let [_, _, (_, _, closes)] = phases(&mut table.random, 120.0);
        let [_, (_, _, syns), (_, _, before)] = phases(&mut table.random, 120.0);
        if seed % 2 == 0 {
            table.sample = Some(500);
        }
        table.since_gc_secs = 60.0 * table.random.unit();
        table.arrive(Traffic::closes().between(180.0, 30.0), before);
        table.arrive(Traffic::closes().between(30.0, 0.0), closes);
        table.arrive(Traffic::syns().between(30.0, 0.0), syns);
        let ns = table.read();
        let told = flow(&ns, &|_| true).unwrap();
        let (per_sec, level) = (told.per_sec.unwrap(), told.tends_to.unwrap());
        rates.add(per_sec.covers(closes + syns), || format!("{} in {per_sec:?}", closes + syns));
        // In so long a time all is new: what came in the last two minutes, and what gc has not freed yet, which
        // passes every minute and passed this long ago.
        let since_gc = 60.0 * table.random.unit();
        let counted = poisson(&mut table.random, (closes + syns) * (120.0 + since_gc));
        levels.add(level.covers(counted), || format!("{counted} in {level:?}"));
        match churn(&ns).unwrap().outlook {
            Outlook::LevelsOff { entries, .. } => assert_eq!(entries, level, "both tell the same"),
            other => panic!("{other:?} where {level:?}"),
        }
    }
    rates.judge("rate now");
    levels.judge("level");
}

/// Rates from 20 to 320 a second, another one from so many seconds ago on: to nothing, from nothing, and between.
#[test]
fn the_rate_of_now_right_after_it_changed() {
    for (traffic, changes) in
        [(Traffic::closes(), &[1.0, 2.0, 3.0, 5.0, 8.0][..]), (Traffic::syns(), &[2.0, 3.0, 5.0, 8.0])]
    {
        for changed_secs_ago in changes.iter().copied() {
            let mut tally = Tally::default();
            for seed in 0..DRAWS {
                let mut table = Simulated::new(seed);
                table.sample = (seed % 2 == 0).then_some(1_000);
                let mut rate = |nothing: u64| {
                    if seed % 5 == nothing { 0.0 } else { 20.0 * 16.0_f64.powf(table.random.unit()) }
                };
                let (before, now) = (rate(0), rate(1));
                for (from, to, per_sec) in [(60.0, changed_secs_ago, before), (changed_secs_ago, 0.0, now)] {
                    if per_sec > 0.0 {
                        table.arrive(traffic.between(from, to), per_sec);
                    }
                }
                let per_sec = flow(&table.read(), &|_| true).unwrap().per_sec.unwrap();
                // Counted from the second on that a SYN is taken for unanswered.
                tally.add(per_sec.covers(now), || format!("{before}, then {now} in {per_sec:?}"));
            }
            tally.judge(&format!("rate of {} that changed {changed_secs_ago} s ago", traffic.state));
        }
    }
}

#[test]
fn whatever_the_table_every_figure_is_a_number_and_in_order() {
    for seed in 0..DRAWS {
        let mut table = Simulated::new(seed);
        let mut below = |end: u32| u32::try_from(table.random.below(end.into())).unwrap();
        let picked = [below(5), below(4), below(3), below(4), below(4)].map(|at| at as usize);
        let [of_ports, of_samples, of_local, of_capacities, skipped] = picked;
        let ports = [(1, 65_535), (1_024, 65_535), (40_000, 40_099), (80, 80), (40_000, 40_999)];
        let (sources, ports) = (1 + below(3), ports[of_ports]);
        let (began, rate) = (1 + below(200), below(300));
        table.sample = [None, Some(0), Some(50), Some(500)][of_samples];
        table.local_ports = [None, Some(ports), Some((60_000, 1))][of_local];
        table.capacity = [0, 1, 1_000, 262_144][of_capacities];
        let kinds = [Traffic::closes(), Traffic::syns(), Traffic::udp(), Traffic::established()];
        for kind in kinds.into_iter().skip(skipped) {
            table.arrive(
                kind.sources(sources.into()).ports(ports.0, ports.1).between(began.into(), 0.0),
                0.1 + f64::from(rate),
            );
        }
        if seed % 3 == 0 {
            table.watch(10);
        }
        let ns = table.read();
        judge_numbers(&serde_json::to_value(churn(&ns)).unwrap(), seed);
        judge_numbers(&serde_json::to_value(flow(&ns, &|_| true)).unwrap(), seed);
    }
}

/// Figures without a name that may be nothing: those that are no number would be so too.
fn judge_numbers(told: &serde_json::Value, seed: u64) {
    const MAY_BE_NOTHING: [&str; 5] = ["for_secs", "per_sec", "tends_to", "at_most_secs", "utilization"];
    if let serde_json::Value::Object(fields) = told {
        for (name, value) in fields {
            assert!(!value.is_null() || MAY_BE_NOTHING.contains(&name.as_str()), "{seed}: {name} in {told}");
            judge_numbers(value, seed);
        }
        let end = |name: &str| fields.get(name).and_then(serde_json::Value::as_f64);
        if let (Some(low), Some(value), Some(high)) = (end("low"), end("value"), end("high")) {
            assert!(low <= value && value <= high, "{seed}: {told}");
        }
    }
    if let serde_json::Value::Array(all) = told {
        for one in all {
            judge_numbers(one, seed);
        }
    }
}

#[test]
fn the_time_until_it_is_full() {
    let mut tally = Tally::default();
    for seed in 0..DRAWS {
        let mut table = Simulated::new(seed);
        table.capacity = 2_000;
        table.sample = (seed % 2 == 0).then_some(300);
        let per_sec = 22.0 + 30.0 * table.random.unit();
        let began = 12.0 + 15.0 * table.random.unit();
        let came = table.arrive(Traffic::syns().between(began, 0.0), per_sec);
        let ns = table.read();
        let Outlook::FullIn { secs, at_least_secs, at_most_secs, .. } = churn(&ns).unwrap().outlook else {
            panic!("{per_sec} for {began}: {:?}", churn(&ns))
        };
        assert!(at_least_secs <= secs && at_most_secs.is_none_or(|most| secs <= most));
        let mut truth = 0.0;
        for _ in came..u64::from(table.capacity) {
            truth -= table.random.unit().ln() / per_sec;
        }
        let holds = at_least_secs <= truth && at_most_secs.is_none_or(|most| truth <= most);
        tally.add(holds, || format!("{truth} in {at_least_secs} to {at_most_secs:?}"));
    }
    tally.judge("time until full");
}

#[test]
fn the_level_of_a_client_that_runs_out_of_ports() {
    let mut tally = Tally::default();
    for seed in 0..DRAWS {
        let mut table = Simulated::new(seed);
        table.local_ports = Some((40_000, 40_599));
        let client = Traffic::closes().sources(1).ports(40_000, 40_599);
        table.arrive(client.between(20.0, 0.0), 20.0);
        let level = flow(&table.read(), &|_| true).unwrap().tends_to.unwrap();
        let mut later = Simulated::new(seed + DRAWS);
        later.arrive(client.between(120.0, 0.0), 20.0);
        let truth = later.len() as f64;
        tally.add(level.covers(truth), || format!("{truth} in {level:?}"));
    }
    tally.judge("level over 600 ports");
}

#[test]
fn a_leak_is_told_by_the_slope_and_what_stays_is_not_called_one() {
    let (mut leaks, mut stays) = (Tally::default(), Tally::default());
    for seed in 0..DRAWS {
        for (leak_per_sec, tally) in [(30.0, &mut leaks), (0.0, &mut stays)] {
            let mut table = Simulated::new(seed);
            table.since_gc_secs = 60.0 * table.random.unit();
            table.sample = (seed % 3 == 0).then_some(1_000);
            table.arrive(Traffic::established().between(600.0, 580.0), 100.0);
            if leak_per_sec > 0.0 {
                table.arrive(Traffic::established().between(40.0, 0.0), leak_per_sec);
            }
            table.arrive(Traffic::udp().between(120.0, 0.0), 10.0);
            table.watch(30);
            let outlook = churn(&table.read()).unwrap().outlook;
            let grows = matches!(&outlook, Outlook::NotKnown { because, .. } if because.contains("grows by"));
            tally.add(grows == (leak_per_sec > 0.0), || format!("{outlook:?}"));
        }
    }
    leaks.judge("a leak is seen");
    stays.judge("none is invented");
}

/// A Poisson variable; near the normal distribution for such means.
fn poisson(random: &mut Random, mean: f64) -> f64 {
    if mean > 1_000.0 {
        let normal = (-2.0 * random.unit().ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos();
        return (mean + normal * mean.sqrt()).round();
    }
    let mut came = 0.0;
    let mut at = -random.unit().ln();
    while at < mean {
        came += 1.0;
        at -= random.unit().ln();
    }
    came
}
