//! What tests of several files need.

use std::env;
use std::path::PathBuf;

/// An example, which cargo builds for tests beside them.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(program.is_file(), "{} is not there: cargo build -p plimsoll-xdp --examples", program.display());
    program
}
