//! The section `http_server_config`.

use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};

use super::fault::Fault;
use super::quoted;
use super::yaml::Node;

/// A header that can be set, how it is written, and the values that it may have; none means any.
type Settable = (HeaderName, &'static str, &'static [&'static str]);

const SETTABLE: [Settable; 5] = [
    (CONTENT_SECURITY_POLICY, "Content-Security-Policy", &[]),
    (X_FRAME_OPTIONS, "X-Frame-Options", &["deny", "sameorigin"]),
    (X_CONTENT_TYPE_OPTIONS, "X-Content-Type-Options", &["nosniff"]),
    (X_XSS_PROTECTION, "X-XSS-Protection", &[]),
    (STRICT_TRANSPORT_SECURITY, "Strict-Transport-Security", &[]),
];

/// Reads the section; what is left of it are headers.
pub(super) fn read(section: &Node) -> Result<Vec<(HeaderName, HeaderValue)>, Fault> {
    let mut headers = Vec::new();
    for entry in section.entries()? {
        match entry.name.as_str() {
            "http2" if entry.flag()? => {
                return Err(entry.fault("Plimsoll speaks HTTP/1.1 alone: set it to false, or leave it out"));
            }
            "http2" => {}
            "headers" => headers = entry.entries()?.iter().map(header).collect::<Result<_, _>>()?,
            _ => return Err(entry.unknown(&["http2", "headers"])),
        }
    }
    Ok(headers)
}

fn header(entry: &Node) -> Result<(HeaderName, HeaderValue), Fault> {
    let Some((name, _, values)) = SETTABLE.iter().find(|(_, written, _)| *written == entry.name) else {
        return Err(entry.unknown(&SETTABLE.map(|(_, written, _)| written)));
    };
    let text = entry.text()?;
    if !values.is_empty() && !values.contains(&text) {
        return Err(entry.fault(format!("is {}; it must be {}", quoted(text), values.join(" or "))));
    }
    let value = HeaderValue::from_str(text).map_err(|_| entry.fault("has a character that no header may have"))?;
    Ok((name.clone(), value))
}
