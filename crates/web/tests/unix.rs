//! Unix sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use plimsoll_web::{Access, Address, Error, Limits, Listen, Listener, Server};
use support::{Demo, Folder};

fn at(path: &Path) -> Listen {
    Listen::Unix { path: path.to_owned(), mode: Listen::GROUP }
}

fn serve(listener: Listener, access: Access) -> Server {
    Server::begin(vec![listener], access, Limits::default(), Arc::new(Demo::default())).unwrap()
}

fn get(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    // The name does not matter here.
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_is_made_with_its_mode_and_removed_at_the_end() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    for mode in [0o660, 0o600, 0o666] {
        let listener = Listen::Unix { path: path.clone(), mode }.bind().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
        assert_eq!(listener.address(), Some(Address::Unix(Some(path.clone()))));
        let server = serve(listener, Access::default());
        assert!(get(&path).starts_with("HTTP/1.1 200"));
        server.end();
        assert!(!path.exists());
    }
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "nothing is left beside it");
}

#[test]
fn the_file_s_mode_is_the_lock() {
    let folder = Folder::new();
    let hash = bcrypt::hash("x", 4).unwrap();
    let file = folder.write("web.yml", &format!("basic_auth_users:\n  ann: {hash}\n"));
    let path = folder.path("web.sock");
    let _server = serve(at(&path).bind().unwrap(), Access { web_config: Some(file), names: Vec::new() });
    assert!(get(&path).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_leftover_is_replaced() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _server = serve(at(&path).bind().unwrap(), Access::default());
    assert!(get(&path).starts_with("HTTP/1.1 200"));
}

#[test]
fn what_was_killed_before_its_socket_was_in_place_keeps_nobody_of_its_process_id_from_listening() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    let beside = folder.path(&format!(".web.sock.{}", std::process::id()));
    drop(UnixListener::bind(&beside).unwrap());
    assert!(beside.exists());
    let _server = serve(at(&path).bind().unwrap(), Access::default());
    assert!(get(&path).starts_with("HTTP/1.1 200") && !beside.exists());
}

#[test]
fn nobody_is_pushed_aside() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    let first = serve(at(&path).bind().unwrap(), Access::default());
    assert!(matches!(at(&path).bind(), Err(Error::InUse { .. })));
    assert!(get(&path).starts_with("HTTP/1.1 200"));
    drop(first);
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(at(&path).bind(), Err(Error::NotASocket { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let error = at(&folder.path("none/web.sock")).bind().unwrap_err().to_string();
    assert!(error.starts_with("cannot listen on ") && error.contains("none/web.sock"), "{error}");
}

#[test]
fn a_listener_whose_queue_is_full_listens_still() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    let _deaf = UnixListener::bind(&path).unwrap();
    let connect = || {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.connect(&socket2::SockAddr::unix(&path).unwrap()).map(|()| socket)
    };
    let _queue: Vec<_> = (0..10_000).map_while(|_| connect().ok()).collect();
    assert!(matches!(at(&path).bind(), Err(Error::InUse { .. })));
}

#[test]
fn another_s_socket_is_left_at_the_end() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    let server = serve(at(&path).bind().unwrap(), Access::default());
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    let inode = std::fs::metadata(&path).unwrap().ino();
    server.end();
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
    drop(other);
}

#[test]
fn a_socket_handed_in_is_served() {
    let folder = Folder::new();
    let path = folder.path("web.sock");
    let server = serve(UnixListener::bind(&path).unwrap().into(), Access::default());
    assert!(get(&path).starts_with("HTTP/1.1 200"));
    server.end();
    assert!(path.exists(), "it is its maker's");
}
