//! A server that answers as it is told. Nothing here is of this crate, so that others can take it for their tests.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What was asked: path with query, and the token.
pub(crate) type Asked = Arc<Mutex<Vec<(String, String)>>>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Asked,
}

/// An answer: status and body.
pub(crate) type Answer = (u16, String);

impl Server {
    /// Answers each question by its path and query.
    pub(crate) fn answering(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::serving(move |stream, asked| serve(stream, asked, &answer))
    }

    /// Serves each connection in a thread of its own, which ends with the test.
    pub(crate) fn serving(serve: impl Fn(TcpStream, &Asked) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Asked::default();
        let (serve, known) = (Arc::new(serve), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serve, known) = (Arc::clone(&serve), Arc::clone(&known));
                thread::spawn(move || serve(stream, &known));
            }
        });
        Self { address, asked }
    }

    /// Fixed answers by path; 404 for others.
    pub(crate) fn of(answers: &[(&str, Answer)]) -> Self {
        let answers: BTreeMap<String, Answer> =
            answers.iter().map(|(path, answer)| ((*path).to_string(), answer.clone())).collect();
        Self::answering(move |asked| {
            let path = asked.split('?').next().unwrap_or_default();
            answers.get(path).cloned().unwrap_or((404, r#"{"kind":"Status","message":"not found"}"#.to_string()))
        })
    }

    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

/// HTTP/1.1, question after question, until the other side ends.
pub(crate) fn serve(stream: impl Read + Write, asked: &Asked, answer: &impl Fn(&str) -> Answer) {
    let mut stream = BufReader::new(stream);
    while let Some((path, token)) = question(&mut stream) {
        asked.lock().unwrap().push((path.clone(), token));
        let (status, body) = answer(&path);
        let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n", body.len());
        let sent = stream.get_mut().write_all((head + &body).as_bytes()).and_then(|()| stream.get_mut().flush());
        if sent.is_err() {
            return;
        }
    }
}

fn question(stream: &mut impl BufRead) -> Option<(String, String)> {
    let mut first = String::new();
    stream.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let path = first.split(' ').nth(1)?.to_string();
    let mut token = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            return Some((path, token));
        }
        if let Some(value) = line.strip_prefix("authorization: ") {
            token = value.trim().to_string();
        }
    }
}
