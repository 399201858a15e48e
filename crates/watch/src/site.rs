//! What a browser, a scraper and a health check see.

use std::sync::Arc;

use plimsoll_web::{Answer, Bytes, Cache, Hub, Notice, Page, Request, Site};

use crate::metrics::Format;
use crate::{Board, Health};

/// Browsers that get live readings at a time.
const MOST_SUBSCRIBERS: usize = 16;

/// The dashboard's stylesheet, for other pages that are to look like it.
pub const STYLE: &str = include_str!("../assets/dashboard.css");

/// The files of the dashboard: path, media type, content.
const ASSETS: [(&str, &str, &str); 10] = [
    ("/", "text/html; charset=utf-8", include_str!("../assets/index.html")),
    ("/dashboard.css", "text/css; charset=utf-8", STYLE),
    ("/dashboard.js", SCRIPT, include_str!("../assets/dashboard.js")),
    ("/chart.js", SCRIPT, include_str!("../assets/chart.js")),
    ("/dom.js", SCRIPT, include_str!("../assets/dom.js")),
    ("/feed.js", SCRIPT, include_str!("../assets/feed.js")),
    ("/occupancy.js", SCRIPT, include_str!("../assets/occupancy.js")),
    ("/parts.js", SCRIPT, include_str!("../assets/parts.js")),
    ("/pictures.js", SCRIPT, include_str!("../assets/pictures.js")),
    ("/words.js", SCRIPT, include_str!("../assets/words.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The daemon's pages.
pub struct Pages {
    board: Arc<Board>,
    hub: Hub,
    log: Box<dyn Fn(Notice<'_>) + Send + Sync>,
}

impl Pages {
    /// The pages of what is on a board; `log` is told of what happens to the server.
    pub fn new(board: Arc<Board>, log: Box<dyn Fn(Notice<'_>) + Send + Sync>) -> Self {
        Self { board, hub: Hub::new(MOST_SUBSCRIBERS), log }
    }

    /// Tells browsers of what has just been put up.
    pub fn publish(&self) {
        if let Some(status) = self.board.status() {
            self.hub.send("status", &status);
        }
    }
}

impl Site for Pages {
    fn answer(&self, request: &Request<'_>) -> Answer {
        match request.path {
            "/metrics" => {
                let format = Format::accepted_by(request.accept);
                page(format.media_type(), self.board.scraped(format))
            }
            "/healthz" => self.health(),
            "/api/status" => match self.board.status() {
                Some(status) => page(JSON, status),
                None => Answer::Unavailable(now(PLAIN, "no reading has been made yet\n")),
            },
            "/api/history" => {
                let namespace = request.parameter("netns").unwrap_or_default();
                self.board.history(&namespace).map_or(Answer::NotFound, |history| page(JSON, history))
            }
            "/api/events" => match self.hub.subscribe() {
                Some(subscription) => Answer::Events(subscription),
                None => Answer::Unavailable(now(PLAIN, "too many browsers get readings already\n")),
            },
            path => asset(path),
        }
    }

    fn notice(&self, notice: Notice<'_>) {
        (self.log)(notice);
    }
}

impl Pages {
    fn health(&self) -> Answer {
        match self.board.health() {
            Health::Reading => page(PLAIN, "readings come as they should\n"),
            Health::Beginning => Answer::Unavailable(now(PLAIN, "no reading has been made yet\n")),
            Health::Late => Answer::Unavailable(now(PLAIN, "the last reading is too old\n")),
        }
    }
}

fn asset(path: &str) -> Answer {
    let of_path = |(name, _, _): &&(&str, &str, &str)| *name == path;
    ASSETS.iter().find(of_path).map_or(Answer::NotFound, |(_, content_type, body)| page(content_type, *body))
}

fn page(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    Answer::Page(now(content_type, body))
}

/// A page that tells of now: assets too, so that a newer binary's are seen at once.
fn now(content_type: &'static str, body: impl Into<Bytes>) -> Page {
    Page { content_type, body: body.into(), cache: Cache::Never }
}
