//! The section `rate_limit`: a bucket of tokens, of which each request takes one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::quoted;
use super::yaml::Node;

/// A request each `interval`, and `burst` at once after a pause.
#[derive(Debug)]
pub(crate) struct Rate {
    interval: Duration,
    burst: u32,
    bucket: Mutex<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rate {
    /// Whether a request may be answered now.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let come = now.saturating_duration_since(bucket.at).as_secs_f64() / self.interval.as_secs_f64();
        let tokens = (bucket.tokens + come).min(f64::from(self.burst));
        let admitted = tokens >= 1.0;
        *bucket = Bucket { tokens: if admitted { tokens - 1.0 } else { tokens }, at: now };
        admitted
    }
}

/// Reads the section; an interval of 0 is none.
pub(super) fn read(section: &Node) -> Result<Option<Rate>, Fault> {
    let (mut interval, mut burst) = (Duration::ZERO, 0);
    for entry in section.entries()? {
        match entry.name.as_str() {
            "interval" => interval = duration(entry)?,
            "burst" => burst = entry.text()?.parse().map_err(|_| entry.fault("must be a whole number"))?,
            _ => return Err(entry.unknown(&["interval", "burst"])),
        }
    }
    if interval.is_zero() {
        return Ok(None);
    }
    if burst == 0 {
        return Err(section.fault("burst must be at least 1: with 0 no request would ever be answered"));
    }
    let bucket = Mutex::new(Bucket { tokens: f64::from(burst), at: Instant::now() });
    Ok(Some(Rate { interval, burst, bucket }))
}

/// A duration as Go writes it: `1s`, `1m30s`, `250ms`, `1.5h`; 0 takes no unit.
fn duration(entry: &Node) -> Result<Duration, Fault> {
    let text = entry.text()?;
    let fault = || entry.fault(format!("is {}; it must be a time such as 1s, 250ms or 1m30s", quoted(text)));
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(fault());
    }
    let (mut sum, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| c.is_alphabetic()).ok_or_else(fault)?);
        let (unit, behind) = behind.split_at(behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len()));
        let number: f64 = number.parse().map_err(|_| fault())?;
        sum += number * secs(unit).ok_or_else(fault)?;
        rest = behind;
    }
    Duration::try_from_secs_f64(sum).map_err(|_| fault())
}

fn secs(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::yaml;

    fn rate(text: &str) -> Result<Option<Rate>, Fault> {
        read(&yaml::parse(text).unwrap())
    }

    #[test]
    fn times_are_those_of_go() {
        let interval = |text: &str| rate(&format!("interval: {text}\nburst: 1")).unwrap().map(|rate| rate.interval);
        assert_eq!(interval("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(interval("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(interval("1.5h"), Some(Duration::from_mins(90)));
        assert_eq!(interval("0"), None);
        for wrong in ["1", "s", "1d", "-1s", "1s1", "NaNs", "1e400s", "''"] {
            assert!(rate(&format!("interval: {wrong}\nburst: 1")).is_err(), "{wrong}");
        }
        assert!(rate("interval: 1s").is_err());
    }

    #[test]
    fn a_burst_and_then_one_each_interval() {
        let rate = rate("interval: 10s\nburst: 3").unwrap().unwrap();
        let start = Instant::now();
        let admitted = |secs| (0..5).filter(|_| rate.admits(start + Duration::from_secs(secs))).count();
        assert_eq!([admitted(0), admitted(9), admitted(10), admitted(1000)], [3, 0, 1, 3]);
    }
}
