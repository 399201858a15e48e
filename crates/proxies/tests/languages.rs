//! Texts at random: whether they are of the language, by the programs themselves and by what is read here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use plimsoll_proxies::{haproxy, nginx};
use proptest::prelude::*;
use support::{Disk, once};

/// How many texts are tried: more by `PROPTEST_CASES`.
fn cases(usual: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

proptest! {
    #![proptest_config(cases(100))]

    /// A block of types takes words of any number; the quotes, escapes and ends are the language's.
    #[test]
    fn words_of_nginx(inside in "([ab$#\"'\\\\; \n\t]|\\$\\{|a\\}){0,12}") {
        let path = file("words.nginx", &format!("events {{ }} http {{ types {{ {inside}\n; }} }}\n"));
        let output = Command::new("nginx").args(["-t", "-e", "stderr", "-g", "pid /dev/null;", "-c"]).arg(&path).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        // What the words mean is another matter, and stops NGINX before it has read them all.
        prop_assume!(output.status.success() || told.contains("unexpected") || told.contains("too many parameters"));
        prop_assert_eq!(nginx::read(&path, &mut once(&Disk), None).is_ok(), output.status.success(), "{:?}: {}", inside, told);
    }
}

proptest! {
    #![proptest_config(cases(40))]

    /// A description takes words of any number.
    #[test]
    fn words_of_haproxy(inside in "[abx0#\"'\\\\ \t]{0,12}") {
        let text = format!(
            "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n\
             listen b\n bind 127.0.0.1:8000\n description a {inside}\n"
        );
        let path = file("words.haproxy", &text);
        let output = Command::new("haproxy").args(["-c", "-f"]).arg(&path).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        prop_assert_eq!(haproxy::read([path.as_path()], &mut once(&Disk), None).is_ok(), output.status.success(), "{:?}: {}", inside, told);
    }
}
