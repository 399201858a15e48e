//! What the tests of several modules share.

use std::path::Path;

/// Holds a text against the one that was approved. With `UPDATE_SNAPSHOTS` set, approves it.
pub(crate) fn is_as_in(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(file);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let approved = std::fs::read_to_string(&path).unwrap();
    for (line, (is, was)) in text.lines().zip(approved.lines()).enumerate() {
        assert_eq!(is, was, "{file}, line {}", line + 1);
    }
    assert_eq!(text.lines().count(), approved.lines().count(), "{file}");
}
