//! The process itself, under the names that every Prometheus client has for it.

use std::fs;

use super::{Family, alone, counter, gauge};

pub(super) fn families() -> Vec<Family> {
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let stat = stat.as_deref().and_then(Stat::parse);
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    vec![
        counter(
            "process_cpu_seconds_total",
            "Processor time of this process, in user and system mode.",
            alone(stat.map(|stat| stat.cpu_ticks / ticks)),
        ),
        gauge(
            "process_resident_memory_bytes",
            "Memory of this process that is in RAM.",
            alone(stat.map(|stat| stat.resident_pages * rustix::param::page_size() as f64)),
        ),
        gauge(
            "process_start_time_seconds",
            "When this process began, in seconds since 1970.",
            alone(stat.and_then(|stat| Some(booted_at()? + stat.began_ticks / ticks))),
        ),
        gauge("process_open_fds", "Open files of this process.", alone(open)),
    ]
}

/// Of proc(5), `/proc/pid/stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu_ticks: f64,
    began_ticks: f64,
    resident_pages: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The command, in parentheses, may hold anything; what follows it are fields from the third on.
        let (_, after) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self { cpu_ticks: field(14)? + field(15)?, began_ticks: field(22)?, resident_pages: field(24)? })
    }
}

/// When the host began, in seconds since 1970.
fn booted_at() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_a_parenthesis_and_spaces_moves_no_field() {
        let fields: Vec<String> = (4..=52).map(|number| number.to_string()).collect();
        let stat = Stat::parse(&format!("7 (a) b (c) S {}", fields.join(" ")));
        assert_eq!(stat, Some(Stat { cpu_ticks: 29.0, began_ticks: 22.0, resident_pages: 24.0 }));
    }
}
