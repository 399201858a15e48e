//! Why it is foretold so, in words.

use crate::daily::Daily;
use crate::history::Seen;
use crate::line::Line;
use crate::mechanism::{Mechanism, Z};

/// A plain sentence without a full stop.
pub(crate) fn words(seen: &Seen, line: &Line, mechanism: Option<&Mechanism>, daily: Option<&Daily>) -> String {
    let mut words = match mechanism {
        Some(Mechanism::Fills(fills)) => {
            let until = fills.high.map_or("may yet not".to_string(), |high| format!("{} at the latest", time(high)));
            format!("what comes now fills the table in {} ({until})", time(fills.value))
        }
        Some(Mechanism::Level(level)) => {
            let of = level.value / seen.capacity * 100.0;
            format!("what comes now leads to {} entries ({of:.0}% of the limit)", number(level.value))
        }
        None => course(line),
    };
    if let Some(daily) = daily {
        words += &format!(", beside the shape of {} days", daily.days);
    }
    words
}

/// What a line does.
fn course(line: &Line) -> String {
    let lasts = time(line.seen_secs);
    if line.per_sec.abs() <= Z * line.per_sec_sd {
        return format!("has stayed at about {} entries for {lasts}", number(line.now));
    }
    let way = if line.per_sec > 0.0 { "rises" } else { "falls" };
    // The smallest unit in which it is a number to speak of.
    let (per, unit) = [(1.0, "a second"), (60.0, "a minute")]
        .into_iter()
        .find(|(secs, _)| line.per_sec.abs() * secs >= 10.0)
        .unwrap_or((3600.0, "an hour"));
    let [value, error] = [line.per_sec.abs() * per, Z * line.per_sec_sd * per];
    format!("{way} by {} ± {} entries {unit} for {lasts}", number(value), number(error))
}

fn number(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn time(secs: f64) -> String {
    match secs {
        ..120.0 => format!("{secs:.0} s"),
        ..7200.0 => format!("{:.0} min", secs / 60.0),
        _ => format!("{:.0} h", secs / 3600.0),
    }
}
