//! The request: whether it is a plain one, and its bytes.

use bytes::BytesMut;

use crate::{
    check::{Route, Target},
    probe::http::ACCEPT,
};

/// Headers that mean something to whoever sends the request.
const MEANT_FOR_CLIENTS: [&str; 9] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Whether the plain way will do for `target`.
pub(super) fn is_plain(target: &Target) -> bool {
    let url = &target.url;
    url.scheme() == "http"
        && matches!(target.method.as_str(), "GET" | "HEAD")
        && target.body.is_none()
        && *target.route == Route::default()
        && url.username().is_empty()
        && url.password().is_none()
        && url.host().is_some()
        && target.headers.iter().all(|(name, value)| {
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !name.is_empty()
                && name.bytes().all(token)
                && !MEANT_FOR_CLIENTS
                    .iter()
                    .any(|meant| name.eq_ignore_ascii_case(meant))
                && value
                    .reveal()
                    .bytes()
                    .all(|byte| matches!(byte, b' '..=b'~'))
        })
}

/// The request's bytes, in a buffer that has room for a usual answer.
pub(super) fn write(target: &Target, user_agent: &str) -> BytesMut {
    let url = &target.url;
    let mut request = BytesMut::with_capacity(512 + super::READ);
    let mut say = |words: &[&str]| {
        for word in words {
            request.extend_from_slice(word.as_bytes());
        }
    };
    say(&[&target.method, " ", url.path()]);
    if let Some(query) = url.query() {
        say(&["?", query]);
    }
    say(&[" HTTP/1.1\r\n"]);
    let has = |wanted: &str| {
        let mut names = target.headers.iter().map(|(name, _)| name);
        names.any(|name| name.eq_ignore_ascii_case(wanted))
    };
    for (name, value) in &target.headers {
        say(&[name, ": ", value.reveal(), "\r\n"]);
    }
    if !has("accept") {
        say(&["accept: ", ACCEPT, "\r\n"]);
    }
    if !has("user-agent") {
        say(&["user-agent: ", user_agent, "\r\n"]);
    }
    if !has("host") {
        say(&["host: ", super::pool::place(url), "\r\n"]);
    }
    say(&["\r\n"]);
    request
}
