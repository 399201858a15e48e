//! Every command that a document shows is run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Commands that whoever runs this test has run already, or that take long: their program has to be there.
const RUN_ELSEWHERE: [&str; 7] =
    ["cargo ", "scripts/test", "scripts/bench", "scripts/fuzz", "scripts/scenarios", "scripts/image", "crates/"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

fn documents() -> Vec<PathBuf> {
    let top = workspace();
    let mut documents = in_folder(&top);
    // Folders that are read to their depths: the top has others, with code in them.
    let mut folders = vec![top.join("docs")];
    while let Some(folder) = folders.pop() {
        documents.extend(in_folder(&folder));
        folders.extend(paths(&folder).filter(|path| path.is_dir()));
    }
    documents
}

fn in_folder(folder: &Path) -> Vec<PathBuf> {
    paths(folder).filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

fn paths(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path())
}

/// The lines of the blocks that are marked as a shell's.
fn commands(document: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    let mut in_block = false;
    for line in document.lines() {
        match line.trim() {
            "```sh" => in_block = true,
            "```" => in_block = false,
            command if in_block && !command.is_empty() => commands.push(command),
            _ => {}
        }
    }
    commands
}

#[test]
fn every_command_in_the_documents_works() {
    let binary = Path::new(env!("CARGO_BIN_EXE_plimsoll")).parent().expect("a folder").display().to_string();
    let path = format!("{binary}:{}", std::env::var("PATH").unwrap_or_default());
    let mut ran = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        for command in commands(&text) {
            let shown = format!("{}: {command}", document.display());
            if RUN_ELSEWHERE.iter().any(|known| command.starts_with(known)) {
                let program = command.split_whitespace().next().expect("a program");
                let there = program == "cargo" || workspace().join(program).exists();
                assert!(there, "{shown}: {program} is not there");
                continue;
            }
            let output = Command::new("bash").args(["-c", command]).env("PATH", &path).output().expect("bash");
            let code = output.status.code().unwrap_or(-1);
            let verdict = command.starts_with("plimsoll") && (0..=3).contains(&code);
            assert!(verdict && output.stderr.is_empty() && !output.stdout.is_empty(), "{shown}: {output:?}");
            ran += 1;
        }
    }
    assert!(ran >= 8, "only {ran} commands were found to run");
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { document.clone() } else { document.parent().expect("a folder").join(file) };
            assert!(path.exists(), "{}: {target}", document.display());
            let has_heading = || {
                let text = fs::read_to_string(&path).expect("a document");
                text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading)
            };
            assert!(heading.is_empty() || has_heading(), "{}: {target}", document.display());
        }
    }
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
