//! Whether the object that is committed is what its source gives. Needs Debian's clang-16 and llvm-16, and fails without.
#![allow(clippy::unwrap_used, reason = "the helpers of tests, too, fail by panicking")]

use std::path::Path;
use std::process::Command;

#[test]
fn the_object_is_what_its_source_gives() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rebuilt = Path::new(env!("CARGO_TARGET_TMPDIR")).join("filter.o");
    let output = Command::new(crate_folder.join("../../scripts/bpf")).arg(&rebuilt).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let is_same = std::fs::read(&rebuilt).unwrap() == std::fs::read(crate_folder.join("bpf/filter.o")).unwrap();
    assert!(is_same, "scripts/bpf was not run after the last change of filter.bpf.c, or with another clang");
}
