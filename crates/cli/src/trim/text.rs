//! What goes, what stays, and what came of it, for people.

use anstyle::Style;
use plimsoll_diagnose::words::{grouped, percent};
use plimsoll_model::{Capacity, Occupancy, Policies};
use plimsoll_trim::{Ended, Left, Manner};

use super::names::TimeoutSetting;
use super::report::{Done, Report, Wait};
use crate::columns::Columns;
use crate::wrap::paragraph;

const BOLD: Style = Style::new().bold();

/// States that are listed: those with most to lose.
const MOST_STATES: usize = 12;

pub(super) fn render(report: &Report<'_>) -> String {
    let mut text = format!("{BOLD}{}{BOLD:#}\n", title(report));
    text.push_str(&paragraph("  Table:  ", &table(report)));
    text.push_str(&paragraph("  Held against:  ", &against(report)));
    text.push('\n');
    text.push_str(&states(report));
    text.push_str(&left(report));
    match &report.done {
        Some(done) => text.push_str(&came_of_it(report, done)),
        None => text.push_str(&what_next(report)),
    }
    text
}

fn title(report: &Report<'_>) -> String {
    let name = &report.namespace.name;
    match &report.done {
        Some(done) if done.acted.changed() == 0 => format!("Nothing was trimmed in {name}."),
        Some(done) => format!("{} trimmed in {name}.", were(done.acted.changed())),
        None if report.stale() == 0 => format!("There is nothing to trim in {name}."),
        None => format!("{} would be trimmed in {name}. Nothing was changed.", entries(report.stale())),
    }
}

fn table(report: &Report<'_>) -> String {
    let table = report.ground.table;
    format!("{} when it began", fill(table.occupancy, table.capacity))
}

/// How full a table is.
fn fill(occupancy: Occupancy, capacity: Option<Capacity>) -> String {
    let of_limit = |capacity: Capacity| {
        let share = occupancy.utilization(capacity).map(percent)?;
        Some(format!("{} of {} entries ({share})", grouped(occupancy.0.into()), grouped(capacity.0.into())))
    };
    capacity.and_then(of_limit).unwrap_or_else(|| format!("{} entries, no limit", grouped(occupancy.0.into())))
}

fn against(report: &Report<'_>) -> String {
    let list = |settings: &[TimeoutSetting]| {
        settings.iter().map(|set| format!("{}={}", set.sysctl, set.secs)).collect::<Vec<_>>().join(", ")
    };
    let mut text = "the timeouts in force".to_string();
    if !report.as_if.is_empty() {
        text.push_str(&format!(", but {}", list(report.as_if)));
    }
    if !report.armed.is_empty() {
        text.push_str(&format!("; in force earlier: {}", list(report.armed)));
    }
    let set = report.ground.timeouts.iter_secs();
    let changed = set.filter(|(timeout, secs)| timeout.compiled_default_secs().is_some_and(|default| default != *secs));
    let changed: Vec<_> = changed.filter_map(|(timeout, _)| timeout.sysctl()).collect();
    if !changed.is_empty() {
        text.push_str(&format!(
            "; {} no longer what the kernel begins with: if there was yet another value before, name it with --armed, or flows \
             that it armed may be taken for older than they are",
            are(&changed)
        ));
    }
    text
}

fn are(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

/// What goes, by state.
fn states(report: &Report<'_>) -> String {
    let mut rows = report.rows();
    if rows.is_empty() {
        return String::new();
    }
    let hidden = rows.split_off(rows.len().min(MOST_STATES));
    let mut columns = Columns::new(rows.len());
    columns.push("state", rows.iter().map(|row| row.state.to_string()));
    columns.push("entries", rows.iter().map(|row| grouped(row.counts.read)));
    columns.push("stale", rows.iter().map(|row| grouped(row.counts.stale)));
    if report.done.is_some() {
        columns.push("trimmed", rows.iter().map(|row| grouped(row.changed.unwrap_or(0))));
    }
    let mut text = columns.lines().join("\n") + "\n";
    if !hidden.is_empty() {
        let (read, stale) =
            hidden.iter().fold((0, 0), |(read, stale), row| (read + row.counts.read, stale + row.counts.stale));
        text.push_str(&format!("  and {} in other states, {} of them stale\n", entries(read), grouped(stale)));
    }
    text
}

/// What stays, and why.
fn left(report: &Report<'_>) -> String {
    let left = report.left();
    if left.is_empty() {
        return String::new();
    }
    let mut text = "\n  Left alone:\n".to_string();
    for (why, count) in left {
        text.push_str(&paragraph(&format!("  {:>12}  ", grouped(count)), &reason(why, report.ground.policies)));
    }
    text
}

fn reason(why: Left, policies: Policies) -> String {
    match why {
        Left::NotSelected => "were not asked for",
        Left::Fresh => "may have seen a packet within their timeout",
        Left::Expiring => "expire by themselves within 10 seconds",
        Left::Offloaded => "are offloaded, and show no timeout",
        Left::FixedTimeout => "have a fixed timeout",
        Left::Helper => "belong to a helper, which sets times of its own",
        Left::Policy => {
            return match policies {
                Policies::Some(count) => format!(
                    "cannot be judged: {} in this namespace, and a dump does not tell which entries they arm",
                    if count == 1 {
                        "there is a timeout policy".to_string()
                    } else {
                        format!("there are {count} timeout policies")
                    }
                ),
                Policies::None | Policies::Unknown => {
                    "cannot be judged: it is not known whether there are timeout policies in this namespace".to_string()
                }
            };
        }
        Left::Unknown => "cannot be judged: no timeout that is known accounts for the time that they have left",
    }
    .to_string()
}

fn came_of_it(report: &Report<'_>, done: &Done) -> String {
    let Done { acted, settled, until, wait } = done;
    let mut text = String::from("\n");
    let how = match acted.manner {
        Manner::Expire => "left 10 seconds, in which a packet would have brought them back",
        Manner::Delete => "deleted",
    };
    if acted.changed() > 0 {
        text.push_str(&paragraph("  ", &format!("{} {how}.", were(acted.changed()))));
    }
    let others = [
        (acted.gone, "gone when its turn came"),
        (acted.alive, "seen to be alive, or gone, at a second look"),
        (acted.fixed, "refused: the timeout is fixed"),
        (acted.not_looked_at, "to be looked at a second time, for which there was no time or room"),
    ];
    for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&paragraph("  ", &format!("{} {what}.", were(count))));
    }
    let before = grouped(acted.before.0.into());
    let now = fill(settled.occupancy, report.ground.table.capacity);
    text.push_str(&paragraph("  ", &format!("The kernel counted {before} before, and counts {now} now.")));
    if let Some(live) = settled.live {
        let expired = u64::from(settled.occupancy.0).saturating_sub(live);
        if expired > live / 100 {
            text.push_str(&paragraph(
                "  ",
                &format!("{} of them have expired and are not freed yet.", grouped(expired)),
            ));
        }
    }
    let ended = match acted.ended {
        Ended::Complete => None,
        Ended::FewEnough => Some("It stopped there, as was asked for."),
        Ended::Deadline => Some("It stopped because its time was up."),
        Ended::Stopped => Some("It was interrupted. What was trimmed until then stays so."),
    };
    if let Some(ended) = ended {
        text.push_str(&paragraph("  ", ended));
    }
    if *wait == Wait::CutShort {
        text.push_str(&paragraph(
            "  ",
            "Nobody waited for the ten seconds: those entries are counted still, and expire all the same.",
        ));
    } else if let Some(until) = until.filter(|until| settled.occupancy > *until) {
        let wanted = grouped(until.0.into());
        text.push_str(&paragraph(
            "  ",
            &format!(
                "That is more than the {wanted} that were asked for: what is left may be in use, or new flows came."
            ),
        ));
    }
    text
}

fn what_next(report: &Report<'_>) -> String {
    let mut text = String::from("\n");
    let ambiguous = report.plan.as_ref().map_or(0, |plan| plan.ambiguous);
    if ambiguous > 0 {
        let looked =
            format!("{} of the stale entries would be looked at twice, three seconds apart.", grouped(ambiguous));
        text.push_str(&paragraph("  ", &looked));
    }
    if report.stale() > 0 {
        text.push_str(&paragraph("  ", "The same command with --yes does it. It cannot be undone."));
    } else {
        text.push_str(&paragraph("  ", "`--as-if KEY=SECS` holds the entries against another timeout."));
    }
    text
}

fn were(count: u64) -> String {
    format!("{} {}", entries(count), if count == 1 { "was" } else { "were" })
}

fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_string() } else { format!("{} entries", grouped(count)) }
}
