//! What a request is answered.

use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName,
    HeaderValue, REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode, Version};

use super::body::Reply;
use super::connection::Route;
use super::host;
use crate::file::Settings;
use crate::server::Shared;
use crate::site::{self, Answer, Cache, Page};
use crate::users::Entry;

/// What a page may load and do: scripts, styles, pictures and data of this server, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every answer, of the site's and of the server's own.
const ALWAYS: [(HeaderName, HeaderValue); 3] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

const NEVER_KEPT: HeaderValue = HeaderValue::from_static("no-store");

/// Answers a request.
pub(super) async fn respond(shared: &Shared, route: Route, request: Request<Incoming>) -> Response<Reply> {
    let settings = shared.gate.settings(&*shared.site);
    let mut response = match admit(shared, &settings, route, &request).await {
        Ok(()) => answer(shared, &request),
        Err(refusal) => refusal.response(),
    };
    let headers = response.headers_mut();
    for (name, value) in ALWAYS.into_iter().chain(settings.headers.iter().cloned()) {
        headers.insert(name, value);
    }
    response
}

/// An answer that says why there is no other.
struct Refusal {
    status: StatusCode,
    text: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    const fn new(status: StatusCode, text: &'static str) -> Self {
        Self { status, text, header: None }
    }

    fn with(self, name: HeaderName, value: &'static str) -> Self {
        Self { header: Some((name, HeaderValue::from_static(value))), ..self }
    }

    fn response(self) -> Response<Reply> {
        let page = Page {
            content_type: "text/plain; charset=utf-8",
            body: Bytes::from_static(self.text.as_bytes()),
            cache: Cache::Never,
        };
        let mut response = page_response(self.status, page);
        response.headers_mut().extend(self.header);
        response
    }
}

/// Whether the request may be asked of the site.
async fn admit(shared: &Shared, settings: &Settings, route: Route, request: &Request<Incoming>) -> Result<(), Refusal> {
    require_host(request)?;
    if let Route::Tcp { loopback } = route {
        if loopback && settings.are_open() {
            require_own_host(shared, request)?;
        }
        if settings.rate.as_ref().is_some_and(|rate| !rate.admits(Instant::now())) {
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "more requests than rate_limit allows\n")
                .with(RETRY_AFTER, "1"));
        }
        require_user(settings, request).await?;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here: GET and HEAD alone\n")
            .with(ALLOW, "GET, HEAD"));
    }
    if !request.body().is_end_stream() {
        return Err(
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here\n").with(CONNECTION, "close")
        );
    }
    Ok(())
}

/// RFC 9112, section 3.2: one `Host`, and not none since HTTP/1.1.
fn require_host(request: &Request<Incoming>) -> Result<(), Refusal> {
    match request.headers().get_all(HOST).iter().count() {
        1 => Ok(()),
        0 if request.version() < Version::HTTP_11 => Ok(()),
        _ => Err(Refusal::new(StatusCode::BAD_REQUEST, "there must be one Host header\n")),
    }
}

/// Neither the header nor an absolute address in the request's line may name another host. No browser leaves out both.
fn require_own_host(shared: &Shared, request: &Request<Incoming>) -> Result<(), Refusal> {
    let header = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
    let line = request.uri().authority().map(hyper::http::uri::Authority::as_str);
    let is_own = |host: &str| host::is_own(host) || shared.gate.has_name(host::name(host));
    if header.into_iter().chain(line).all(is_own) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::MISDIRECTED_REQUEST,
        "this name is not known to be this host's; ask by address, as localhost, or have the name allowed\n",
    ))
}

async fn require_user(settings: &Settings, request: &Request<Incoming>) -> Result<(), Refusal> {
    let authorization = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    match settings.users.judge(authorization).await {
        Entry::Granted => Ok(()),
        Entry::Refused => Err(Refusal::new(StatusCode::UNAUTHORIZED, "a name and a password are needed\n")
            .with(WWW_AUTHENTICATE, "Basic realm=\"Plimsoll\", charset=\"UTF-8\"")),
        Entry::Busy => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many passwords are being compared\n")
            .with(RETRY_AFTER, "1")),
    }
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Reply> {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let uri = request.uri();
    match shared.site.answer(&site::Request { path: uri.path(), query: uri.query().unwrap_or_default(), accept }) {
        Answer::Page(page) => page_response(StatusCode::OK, page),
        Answer::Unavailable(page) => page_response(StatusCode::SERVICE_UNAVAILABLE, page),
        Answer::NotFound => Refusal::new(StatusCode::NOT_FOUND, "there is no such page\n").response(),
        Answer::Events(subscription) => {
            let mut response = Response::new(Reply::Events(subscription));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            headers.insert(CACHE_CONTROL, NEVER_KEPT);
            // Without this nginx, as a proxy, keeps events until it has a buffer full.
            headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
            response
        }
    }
}

fn page_response(status: StatusCode, page: Page) -> Response<Reply> {
    let mut response = Response::new(Reply::Page(page.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(page.content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(CACHE_CONTROL, cache_control(page.cache));
    response
}

fn cache_control(cache: Cache) -> HeaderValue {
    match cache {
        Cache::Never => NEVER_KEPT,
        Cache::For(time) => {
            HeaderValue::from_str(&format!("private, max-age={}", time.as_secs())).unwrap_or(NEVER_KEPT)
        }
    }
}
