//! What the bench is asked for.

use crate::density::Kind;

/// Flows of a growing table.
const GROWTH: [u32; 5] = [10_000, 100_000, 1_000_000, 4_000_000, 16_000_000];

pub(crate) struct Arguments {
    /// Sizes of the table; none where nothing is to be measured.
    pub(crate) flows: Vec<u32>,
    pub(crate) rounds: u32,
    pub(crate) json: Option<String>,
    pub(crate) svg: Option<String>,
    /// Whether to measure nothing but what these take.
    pub(crate) entries: Option<Kind>,
}

impl Arguments {
    /// `cargo bench` adds `--bench`, and `cargo test` does not.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut read = Self { flows: vec![1_000_000], rounds: 11, json: None, svg: None, entries: None };
        let mut is_bench = false;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--bench" => is_bench = true,
                "--growth" => read.flows = GROWTH.to_vec(),
                "--flows" => read.flows = value()?.split(',').map(number).collect::<Result<_, _>>()?,
                "--rounds" => read.rounds = number(&value()?)?,
                "--json" => read.json = Some(value()?),
                "--svg" => read.svg = Some(value()?),
                "--entries" => {
                    let name = value()?;
                    read.entries = Some(Kind::by_name(&name).ok_or(format!("{name} is no kind of entries"))?);
                }
                _ => return Err(format!("{word} is unknown: see scripts/bench")),
            }
        }
        if !is_bench {
            read.flows.clear();
        }
        Ok(read)
    }
}

fn number(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text} is no number above 0")),
    }
}
