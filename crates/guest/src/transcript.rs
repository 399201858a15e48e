//! What a guest's script recorded.

use std::path::{Path, PathBuf};

use crate::Error;

/// The steps of a script that ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    steps: Vec<Step>,
    /// Files for the next boot.
    pub(crate) kept: Vec<(PathBuf, Vec<u8>)>,
}

/// A command that a script ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// The command's exit code.
    pub exit_code: u8,
    /// What it wrote to standard output.
    pub output: String,
}

impl Transcript {
    /// The step of a name; the last one where there are several.
    pub fn step(&self, name: &str) -> Result<&Step, Error> {
        self.steps.iter().rfind(|step| step.name == name).ok_or_else(|| Error::NoStep { name: name.to_string() })
    }

    /// All steps, in their order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The files that it kept, by their paths in the guest.
    pub fn kept(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.kept.iter().map(|(path, contents)| (path.as_path(), contents.as_slice()))
    }

    /// Reads `step NAME EXIT-CODE LENGTH` or `keep PATH LENGTH` and as many bytes, again and again, until `end EXIT-CODE`. Whatever the bytes
    /// are, they cannot be taken for a header; a transcript without its end is of a machine that died.
    pub(crate) fn parse(recorded: &[u8], console: &str) -> Result<Self, Error> {
        let broken = |problem: &str| Error::Transcript { problem: problem.to_string(), console: console.to_string() };
        let mut steps = Vec::new();
        let mut kept = Vec::new();
        let mut rest = recorded;
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| broken("lacks its end"))?;
            let header = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = &rest[end + 1..];
            match header.split(' ').collect::<Vec<_>>()[..] {
                ["step", name, exit_code, length] => {
                    let exit_code = exit_code.parse().map_err(|_| broken("has a step without an exit code"))?;
                    let length = length.parse().map_err(|_| broken("has a step without a length"))?;
                    let (output, after) = rest.split_at_checked(length).ok_or_else(|| broken("ends within a step"))?;
                    let output = String::from_utf8_lossy(output).into_owned();
                    steps.push(Step { name: name.to_string(), exit_code, output });
                    rest = after;
                }
                ["keep", path, length] => {
                    let length = length.parse().map_err(|_| broken("has a file without a length"))?;
                    let (contents, after) =
                        rest.split_at_checked(length).ok_or_else(|| broken("ends within a file"))?;
                    kept.push((PathBuf::from(path), contents.to_vec()));
                    rest = after;
                }
                ["end", "0"] => return Ok(Self { steps, kept }),
                ["end", exit_code] => {
                    let exit_code = exit_code.parse().map_err(|_| broken("has an end without an exit code"))?;
                    return Err(Error::Script { exit_code, console: console.to_string() });
                }
                _ => return Err(broken("has something between its steps")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(recorded: &str) -> Result<Transcript, Error> {
        Transcript::parse(recorded.as_bytes(), "")
    }

    #[test]
    fn output_that_looks_like_a_header_is_output() {
        let transcript = parse("step a 2 6\nend 0\nstep b 0 0\nend 0\n").unwrap();
        let a = transcript.step("a").unwrap();
        assert_eq!((a.exit_code, a.output.as_str()), (2, "end 0\n"));
        assert_eq!(transcript.step("b").unwrap().output, "");
        assert!(matches!(transcript.step("c"), Err(Error::NoStep { .. })));
    }

    #[test]
    fn a_script_that_failed_is_an_error() {
        assert!(matches!(parse("step a 0 0\nend 7\n"), Err(Error::Script { exit_code: 7, .. })));
    }

    #[test]
    fn a_machine_that_died_is_an_error_wherever_it_did() {
        for recorded in ["", "step a 0", "step a 0 4\nabc", "step a 0 3\nabc", "step a 0 3\nabcend", "step a x 0\n"] {
            assert!(matches!(parse(recorded), Err(Error::Transcript { .. })), "{recorded:?}");
        }
    }
}
