//! What a namespace of the lab has of its own. Needs root.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use plimsoll_lab::LabNamespace;

#[test]
fn a_folder_is_its_owners_alone_and_goes_with_the_namespace() {
    let namespace = LabNamespace::create().unwrap();
    let folder = namespace.folder().unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    fs::write(folder.join("file"), "x").unwrap();
    assert_eq!(namespace.folder().unwrap(), folder);
    assert!(folder.join("file").exists());
    drop(namespace);
    assert!(!folder.exists());
}
