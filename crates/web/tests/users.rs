//! Names and passwords.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use support::{Folder, Running, await_that, configured};

/// The hash of a password, quick to compare.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

fn users(users: &[(&str, &str)]) -> String {
    let line = |(name, password): &(&str, &str)| format!("  {name}: {}\n", hash(password));
    users.iter().fold("basic_auth_users:\n".to_owned(), |text, user| text + &line(user))
}

fn basic(credentials: &str) -> String {
    use base64::Engine;
    format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(credentials))
}

fn status(web: &Running, headers: &str) -> u16 {
    web.get("/metrics", headers).status().unwrap()
}

#[test]
fn only_a_name_with_its_password_is_let_in() {
    let folder = Folder::new();
    let web = configured(&folder.write("web.yml", &users(&[("ann", "secret:1"), ("bob", "ünïcode"), ("123", "")])));
    for right in ["ann:secret:1", "bob:ünïcode", "123:", "ann:secret:1"] {
        assert_eq!(status(&web, &basic(right)), 200, "{right}");
    }
    for wrong in [
        "ann:secret",
        "ann:",
        "ann",
        ":",
        "",
        "bob:secret:1",
        "eve:secret:1",
        "eve:ünïcode",
        "eve:",
        "ANN:secret:1",
        "ann:secret:1\0x",
    ] {
        assert_eq!(status(&web, &basic(wrong)), 401, "{wrong:?}");
    }
    for broken in [
        "",
        "Authorization: Basic\r\n",
        "Authorization: Basic ====\r\n",
        "Authorization: Bearer YTpi\r\n",
        "Authorization: \u{e9}\r\n",
    ] {
        assert_eq!(status(&web, broken), 401, "{broken:?}");
    }
    let refused = web.get("/healthz", "");
    refused.assert_status(401);
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"Plimsoll\", charset=\"UTF-8\""));
    web.ask(format!("POST /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", web.address)).assert_status(401);
}

#[test]
fn hashes_of_others_are_taken() {
    let folder = Folder::new();
    // Apache's htpasswd writes 2y, Python's bcrypt 2b, older programs 2a: the same to the bit.
    let made = hash("secret");
    let rest = &made[3..];
    let text = format!("basic_auth_users:\n  u2y: $2y{rest}\n  u2b: $2b{rest}\n  u2a: $2a{rest}\n");
    let web = configured(&folder.write("web.yml", &text));
    for kind in ["2y", "2b", "2a"] {
        assert_eq!(status(&web, &basic(&format!("u{kind}:secret"))), 200);
    }
}

#[test]
fn a_password_is_compared_once_and_nobody_waits_for_it() {
    let folder = Folder::new();
    let slow = bcrypt::hash("slow", 12).unwrap();
    let text = format!("{}  slow: {slow}\n", users(&[("quick", "quick")]));
    let web = configured(&folder.write("web.yml", &text));
    let first = Instant::now();
    assert_eq!(status(&web, &basic("slow:slow")), 200);
    let first = first.elapsed();
    let again = Instant::now();
    assert_eq!(status(&web, &basic("slow:slow")), 200);
    assert!(again.elapsed() < first / 4, "{:?} after {first:?}", again.elapsed());
    // While wrong passwords are compared, one that is known is let in at once.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(matches!(status(&web, &basic("eve:guess")), 401 | 503)));
        }
        let since = Instant::now();
        assert_eq!(status(&web, &basic("slow:slow")), 200);
        assert!(since.elapsed() < first / 2, "{:?} beside {first:?}", since.elapsed());
    });
}

#[test]
fn an_unknown_user_takes_as_long_as_a_known_one() {
    let folder = Folder::new();
    let slow = bcrypt::hash("slow", 10).unwrap();
    let web = configured(&folder.write("web.yml", &format!("{}  slow: {slow}\n", users(&[("quick", "quick")]))));
    let time = |credentials| {
        let least = (0..3).map(|_| {
            let since = Instant::now();
            assert_eq!(status(&web, &basic(credentials)), 401);
            since.elapsed()
        });
        least.min().unwrap()
    };
    let (known, unknown) = (time("slow:wrong"), time("nobody:wrong"));
    // The quick user's would take a sixty-fourth.
    assert!(unknown > known / 8 && known > unknown / 8, "{known:?}, {unknown:?}");
}

#[test]
fn guesses_queue_no_longer_than_a_few() {
    let folder = Folder::new();
    let web = configured(
        &folder.write("web.yml", &format!("basic_auth_users:\n  slow: {}\n", bcrypt::hash("slow", 11).unwrap())),
    );
    let statuses: Vec<u16> = thread::scope(|scope| {
        let guesses: Vec<_> = (0..40).map(|_| scope.spawn(|| status(&web, &basic("eve:guess")))).collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    assert!(statuses.contains(&401) && statuses.contains(&503), "{statuses:?}");
    await_that("there is room again", || status(&web, &basic("slow:slow")) == 200);
}

#[test]
fn changed_users_take_effect() {
    let folder = Folder::new();
    let file = folder.write("web.yml", &users(&[("ann", "old"), ("bob", "bob")]));
    let web = configured(&file);
    assert_eq!(status(&web, &basic("ann:old")), 200);
    folder.write("web.yml", &users(&[("ann", "new")]));
    await_that("the new password is taken", || status(&web, &basic("ann:new")) == 200);
    assert_eq!(status(&web, &basic("ann:old")), 401, "what was remembered is forgotten");
    assert_eq!(status(&web, &basic("bob:bob")), 401);
    // A file that is broken, or gone, changes nothing.
    folder.write("web.yml", "basic_auth_users: [");
    await_that("the fault is told", || {
        assert_eq!(status(&web, &basic("ann:new")), 200);
        assert_eq!(status(&web, ""), 401);
        web.site.notices.lock().unwrap().iter().any(|notice| notice.contains("web.yml, line 2"))
    });
    std::fs::remove_file(&file).unwrap();
    await_that("that it is gone is told", || {
        assert_eq!(status(&web, ""), 401);
        web.site.notices.lock().unwrap().last().is_some_and(|notice| notice.contains("No such file"))
    });
    let told = web.site.notices.lock().unwrap().len();
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(status(&web, ""), 401);
    assert_eq!(web.site.notices.lock().unwrap().len(), told, "it is told once");
    folder.write("web.yml", &users(&[("cid", "cid")]));
    await_that("it is mended", || status(&web, &basic("cid:cid")) == 200);
}

#[test]
fn a_reload_leaves_no_request_unanswered() {
    let folder = Folder::new();
    let file = folder.write("web.yml", &users(&[("ann", "ann")]));
    let web = configured(&file);
    let access = plimsoll_web::Access { web_config: Some(file), names: Vec::new() };
    let mut kept = web.connect();
    let ask = |kept: &mut std::net::TcpStream| {
        write!(kept, "GET /script HTTP/1.1\r\nHost: localhost\r\n{}\r\n", basic("ann:ann")).unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n1") {
            let mut byte = [0];
            kept.read_exact(&mut byte).unwrap();
            bytes.extend(byte);
        }
        String::from_utf8(bytes).unwrap()
    };
    assert!(!ask(&mut kept).contains("connection: close"));
    thread::scope(|scope| {
        let asking = scope.spawn(|| (0..300).for_each(|_| assert_eq!(status(&web, &basic("ann:ann")), 200)));
        while !asking.is_finished() {
            web.server.reload(access.clone()).unwrap();
        }
    });
    assert!(ask(&mut kept).contains("connection: close"), "one made before ends with its next answer");
    assert_eq!(kept.read(&mut [0]).unwrap(), 0);
}

#[test]
fn reload_tells_what_is_wrong_and_keeps_what_was() {
    let folder = Folder::new();
    let file = folder.write("web.yml", &users(&[("ann", "ann")]));
    let web = configured(&file);
    let access = |file| plimsoll_web::Access { web_config: Some(file), names: Vec::new() };
    let error = web.server.reload(access(folder.path("missing.yml"))).unwrap_err().to_string();
    assert!(error.contains("missing.yml"), "{error}");
    assert_eq!(status(&web, ""), 401);
    web.server.reload(access(folder.write("other.yml", &users(&[("bob", "bob")])))).unwrap();
    assert_eq!((status(&web, &basic("ann:ann")), status(&web, &basic("bob:bob"))), (401, 200));
}
