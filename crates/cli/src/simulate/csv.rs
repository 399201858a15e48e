//! The table over time, as CSV: one row a reading and setting.

use std::fmt::Write;

use plimsoll_simulate::Completeness;

use super::report::Report;

pub(super) fn render(report: &Report<'_>) -> String {
    let swept = report.runs.first().map_or(&[][..], |run| &run.candidate.swept);
    let mut text = "setting,".to_string();
    for (sysctl, _) in swept {
        text.push_str(&sysctl.full());
        text.push(',');
    }
    text.push_str("at_secs,occupancy,live,capacity,packets,dropped,false_kills,complete\n");
    for (number, run) in report.runs.iter().enumerate() {
        let mut begin = format!("{number},");
        for (_, value) in &run.candidate.swept {
            begin.push_str(&format!("{value},"));
        }
        let is_whole = run.outcome.completeness == Completeness::Whole;
        for reading in &run.outcome.series {
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "{begin}{},{},{},{},{},{},{},{is_whole}",
                reading.at.as_secs_f64(),
                reading.occupancy,
                reading.live,
                run.outcome.capacity,
                reading.packets,
                reading.dropped,
                reading.false_kills
            );
        }
    }
    text
}
