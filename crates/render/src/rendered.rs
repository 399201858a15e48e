//! What comes of rendering: files, and what they do not say.

use std::fmt;

use plimsoll_model::Edit;

use crate::change::{Reasoned, named};
use crate::quote::comment;

const RULES: &str = "that takes rules: render them for nft or iptables";

/// Files, or what is to be put into some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Each file.
    pub files: Vec<File>,
    /// What this format cannot say, so that nothing is missing in silence.
    pub left_out: Vec<LeftOut>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it belongs; `None` for what has no place of its own (a script, a part of another file).
    pub path: Option<&'static str>,
    /// What is in it. It ends with a newline.
    pub text: String,
}

/// A change that a format cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Which: a sysctl's name, or the timeouts of a service.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Rendered {
    pub(crate) fn file(mut self, path: &'static str, text: String) -> Self {
        self.files.push(File { path: Some(path), text });
        self
    }

    pub(crate) fn snippet(mut self, text: String) -> Self {
        self.files.push(File { path: None, text });
        self
    }

    pub(crate) fn leave_out(&mut self, what: impl fmt::Display, why: impl Into<String>) {
        self.left_out.push(LeftOut { what: what.to_string(), why: why.into() });
    }

    /// Leaves out all that is rules, which no setting of the kernel's says.
    pub(crate) fn leave_out_rules(&mut self, changes: &[Reasoned]) {
        for change in changes {
            match &change.edit {
                Edit::Policy(policy) => self.leave_out(named(policy), RULES),
                Edit::Bypass(bypass) => self.leave_out(bypass, RULES),
                Edit::Sysctl { .. } | Edit::Shield(_) | Edit::XdpStage(_) => {}
            }
        }
    }

    /// Both, one after the other.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        for left_out in other.left_out {
            if !self.left_out.contains(&left_out) {
                self.left_out.push(left_out);
            }
        }
        self
    }
}

/// All of it as one text. Every format here takes lines that begin with `#` for comments, so that the text of one file can be
/// written to its place as it is.
impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, file) in self.files.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            if let Some(path) = file.path {
                writeln!(f, "# {path}")?;
            }
            f.write_str(&file.text)?;
        }
        if !self.left_out.is_empty() {
            f.write_str("\n# Not in here:\n")?;
        }
        for left_out in &self.left_out {
            f.write_str(&comment("", &format!("- {}: {}.", left_out.what, left_out.why)))?;
        }
        Ok(())
    }
}
