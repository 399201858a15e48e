//! Asking whether to do it.

use std::io::{self, BufRead};

use crate::arguments::Color;
use crate::output;

/// Asks once, on standard error: whatever is not a yes is a no.
pub(crate) fn ask(question: &str, color: Color) -> anyhow::Result<bool> {
    output::write_progress(&format!("{question} [y/N] "), color);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
