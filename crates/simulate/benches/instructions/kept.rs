//! The counts that are kept beside the code, and what has changed since.

use std::fmt::{self, Write};
use std::fs;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.tsv");
const HEADING: &str = "operation\tinstructions";
/// A change of more than this share is shown.
const NOTEWORTHY: f64 = 0.05;

/// Instructions of each operation.
pub(crate) struct Kept(pub(crate) Vec<(String, f64)>);

impl Kept {
    pub(crate) fn read() -> Result<Self, String> {
        let text =
            fs::read_to_string(FILE).map_err(|answer| format!("reading {FILE}: {answer}: make it by --renew"))?;
        let row = |line: &str| {
            let (name, count) = line.split_once('\t')?;
            Some((name.to_string(), count.parse().ok()?))
        };
        let rows = text.lines().skip(1).map(|line| row(line).ok_or(format!("{FILE}: `{line}` is no row: --renew")));
        rows.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn write(&self) -> Result<(), String> {
        let mut text = format!("{HEADING}\n");
        for (name, count) in &self.0 {
            let _ = writeln!(text, "{name}\t{count:.0}");
        }
        fs::write(FILE, text).map_err(|answer| format!("writing {FILE}: {answer}"))
    }

    fn of(&self, operation: &str) -> Option<f64> {
        self.0.iter().find(|(name, _)| name == operation).map(|(_, count)| *count)
    }
}

/// Counts beside those that were kept.
pub(crate) struct Changes<'a> {
    pub(crate) kept: &'a Kept,
    pub(crate) now: &'a Kept,
}

impl fmt::Display for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<44}{:>8}{:>8}", "instructions", "kept", "now")?;
        for (name, now) in &self.now.0 {
            write!(f, "\n{name:<44}")?;
            match self.kept.of(name) {
                Some(kept) => {
                    let change = now / kept - 1.0;
                    write!(f, "{kept:>8.0}{now:>8.0}")?;
                    if change.abs() > NOTEWORTHY {
                        write!(f, "  {:+.0} %: if it is meant, scripts/instructions --renew", change * 100.0)?;
                    }
                }
                None => write!(f, "{:>8}{now:>8.0}  new: scripts/instructions --renew", "")?,
            }
        }
        Ok(())
    }
}
