//! What happened to a table in the last minutes, and where its number of entries leads, for people.

use anstyle::Style;
use plimsoll_churn::{Assumption, Bin, Caveat, Direction, Needs, Outlook, Timeline, TimelineCourse, churn};
use plimsoll_diagnose::words::{duration, grouped, percent, rate};
use plimsoll_model::{Interval, NamespaceSnapshot};

use super::detail::Detail;
use crate::wrap::paragraph;

/// Share of the entries drawn from which a timeline is worth a line.
const WORTH_A_LINE: f64 = 0.05;

/// The timelines and the outlook of a namespace; empty where its entries were not read.
pub(crate) fn render(ns: &NamespaceSnapshot, detail: Detail) -> String {
    let (Some(churn), Some(census)) = (churn(ns), &ns.census) else { return String::new() };
    let bold = Style::new().bold();
    let drawn = census.drawn.len() as f64;
    let matters = |timeline: &&Timeline| {
        matches!(timeline.course, TimelineCourse::Bins(_)) && timeline.drawn as f64 >= WORTH_A_LINE * drawn
    };
    let is_told = |timeline: &&Timeline| detail == Detail::Everything || matters(timeline);
    let told: Vec<_> = churn.timelines.iter().filter(is_told).collect();
    let mut text = String::new();
    if !told.is_empty() {
        text.push_str(&format!(
            "{bold}What happened in {}{bold:#} (a second, the latest first; ranges at 95%)\n",
            ns.namespace.name
        ));
    }
    for timeline in told {
        text.push_str(&line(timeline));
    }
    // That it is full the verdict has said.
    if detail == Detail::Everything || churn.outlook != Outlook::Full {
        text.push_str(&paragraph("Where it leads: ", &outlook(&churn.outlook)));
    }
    text
}

fn line(timeline: &Timeline) -> String {
    let name = timeline.series.words();
    let bins = match &timeline.course {
        TimelineCourse::NotKnown(because) => {
            return paragraph(&format!("  {name}: "), &format!("not known: {because}"));
        }
        TimelineCourse::Bins(bins) => bins,
    };
    let width_secs = bins.iter().map(|bin| bin.to_secs_ago - bin.from_secs_ago).max().unwrap_or(0);
    let highest = bins.iter().map(|bin| bin.per_sec.value).fold(0.0, f64::max);
    let any = bins.iter().rposition(|bin| bin.drawn > 0).map_or(0, |last| last + 1);
    let mut rates: Vec<_> = bins.iter().take(any).map(|bin| per_sec(bin, highest)).collect();
    if let Some(first) = bins.get(any) {
        rates.push(format!("none older than {}", duration(first.from_secs_ago.into())));
    }
    let notes: Vec<_> = timeline.caveats.iter().filter_map(|caveat| note(*caveat)).collect();
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    paragraph(&format!("  {name}, {} each: ", duration(width_secs.into())), &(rates.join(", ") + &notes))
}

/// A number, or a range where a number would promise too much.
fn per_sec(bin: &Bin, highest: f64) -> String {
    const PRECISE: f64 = 0.25;
    const MANY: u64 = 30;
    const TIMES_MORE: f64 = 4.0;
    /// Beside the highest bin, an uncertainty of this share of it is nothing.
    const NEGLIGIBLE: f64 = 0.05;
    let Interval { low, value, high } = bin.per_sec;
    if bin.drawn == 0 && high <= NEGLIGIBLE * highest {
        "0".to_string()
    } else if bin.per_sec.half_width() <= (PRECISE * value).max(NEGLIGIBLE * highest) {
        rate(value)
    } else if bin.drawn == 0 {
        format!("below {}", rate(high))
    } else if bin.drawn >= MANY && high > TIMES_MORE * value {
        // Nearly all ports were used again, or it is not known how many counted entries have expired.
        format!("{} or more", rate(low))
    } else {
        format!("{}–{}", rate(low), rate(high))
    }
}

/// What a reader would otherwise be misled by; what is always so is in the documents.
const fn note(caveat: Caveat) -> Option<&'static str> {
    match caveat {
        Caveat::PortsUsedAgain => Some("ports are used again and older entries are gone: ranges allow for it"),
        Caveat::EarlyDrop => Some("early_drop has killed some: there were more"),
        Caveat::GcPressure => Some("gc has killed some under pressure: there were more"),
        Caveat::ExpiredAreGone => Some("of those that are still there"),
        Caveat::ArmedAgainByStragglers | Caveat::DatedByLastPacket => None,
    }
}

pub(crate) fn outlook(outlook: &Outlook) -> String {
    match outlook {
        Outlook::Full => "full now".to_string(),
        Outlook::LevelsOff { direction: Direction::Stays, entries, utilization, for_secs, assuming, .. } => {
            let share =
                utilization.map_or(String::new(), |share| format!(" ({}–{})", percent(share.low), percent(share.high)));
            let (low, high) = (whole(entries.low), whole(entries.high));
            let ahead = for_secs.map_or("in the end".to_string(), |secs| format!("for the next {}", about(secs)));
            let rest = resting_on(assuming);
            format!("neither up nor down that can be seen, but {ahead} between {low} and {high} entries{share}{rest}")
        }
        Outlook::LevelsOff { direction, entries, utilization, within_secs, for_secs, assuming } => {
            let way = if *direction == Direction::Rises { "rises to" } else { "falls to" };
            let share = utilization.map_or(String::new(), |utilization| format!("{}, ", percent(utilization.value)));
            let (value, low, high) = (whole(entries.value), whole(entries.low), whole(entries.high));
            let ahead = for_secs.map_or(String::new(), |secs| format!(" (no farther ahead than {})", about(secs)));
            let (within, rest) = (about(*within_secs), resting_on(assuming));
            format!("{way} {value} entries ({share}{low}–{high}) within {within}{ahead}{rest}")
        }
        Outlook::FullIn { secs, at_least_secs, at_most_secs, assuming } => {
            let most = at_most_secs.map_or("or never".to_string(), |secs| format!("at most {}", about(secs)));
            let least = about(at_least_secs.max(0.0));
            format!("full in about {} (at least {least}, {most}){}", about(*secs), resting_on(assuming))
        }
        Outlook::NotKnown { because, needs: Needs::Time } => format!("not known: {because}"),
        Outlook::NotKnown { because, needs: Needs::LongerWatch } => {
            format!("not known: {because} (--watch-for 30s shows the slope)")
        }
        Outlook::NotKnown { because, needs: Needs::LargerSample } => {
            format!("not known: {because} (--sample reads more)")
        }
    }
}

fn resting_on(assumption: &Assumption) -> String {
    match assumption {
        Assumption::Nothing => String::new(),
        Assumption::UndatedStay { share } => {
            format!(", if the {} whose time held is not known stay as many", percent(*share))
        }
        Assumption::UndatedGrow { per_sec, .. } => {
            let (low, high) = (signed(per_sec.low), signed(per_sec.high));
            let narrows = if per_sec.low <= 0.0 && per_sec.high >= 0.0 { "; --watch-for 30s narrows that" } else { "" };
            format!(
                ", if what is held for a time not known goes on to change by {low} to {high} entries a second{narrows}"
            )
        }
    }
}

fn signed(entries: f64) -> String {
    let sign = if entries.round() < 0.0 { "−" } else { "" };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of entries, not negative")]
    let absolute = entries.abs().round() as u64;
    format!("{sign}{}", grouped(absolute))
}

fn whole(entries: f64) -> String {
    // Two digits more than are known tell nothing.
    let unit = 10.0_f64.powf((entries.max(1.0).log10().floor() - 2.0).max(0.0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of entries")]
    let rounded = ((entries / unit).round() * unit) as u64;
    grouped(rounded)
}

fn about(secs: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of seconds, not negative")]
    let secs = secs.ceil() as u64;
    duration(secs)
}
