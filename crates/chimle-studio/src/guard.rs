//! Checks every request: it must contain the token, and must not come from another page.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// The values that every request is checked against.
#[derive(Debug)]
pub(crate) struct Guard {
    token: String,
    /// The host names that are accepted in addition to `localhost` and numeric addresses.
    hosts: Vec<String>,
}

impl Guard {
    pub(crate) fn new(token: String, hosts: Vec<String>) -> Self {
        Self { token, hosts }
    }

    /// Checks a request.
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let host = text(headers, &header::HOST).unwrap_or_default();
        // A page of another name that resolves to this computer (DNS rebinding) sends its own name.
        if !self.is_ours(host) {
            return Err(ApiError::Forbidden(
                "the studio is not served under this host name: open the address that `chimle studio` printed",
            ));
        }
        // Browsers state which page a request comes from.
        if let Some(origin) = text(headers, &header::ORIGIN) {
            let of_this_page = ["http://", "https://"].iter().any(|scheme| {
                origin
                    .strip_prefix(scheme)
                    .is_some_and(|origin| origin == host)
            });
            if !of_this_page {
                return Err(ApiError::Forbidden(
                    "requests from other pages are not answered",
                ));
            }
        }
        let site = HeaderName::from_static("sec-fetch-site");
        if text(headers, &site).is_some_and(|site| site == "cross-site" || site == "same-site")
            && uri.path() != "/"
        {
            return Err(ApiError::Forbidden(
                "requests from other pages are not answered",
            ));
        }
        let given = token_of(uri, headers).unwrap_or_default();
        if !is_same(given.as_bytes(), self.token.as_bytes()) {
            return Err(ApiError::Forbidden(
                "the token is missing or wrong: open the whole address that `chimle studio` printed",
            ));
        }
        Ok(())
    }

    /// Returns whether a host is a name or address of this computer.
    fn is_ours(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let number = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || number.parse::<IpAddr>().is_ok()
            || self.hosts.iter().any(|own| name.eq_ignore_ascii_case(own))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // A value that is not text becomes `?`, which is never allowed.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Returns the token of a request: in the query of the address, or in the header `Authorization: Bearer`.
fn token_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let query = uri.query().unwrap_or_default();
    let in_query = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="));
    in_query.or_else(|| text(headers, &header::AUTHORIZATION)?.strip_prefix("Bearer "))
}

/// Compares two texts in a time that does not depend on where they differ.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(expected)
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == expected.len() && differences == 0
}

/// The headers of every answer. The page may load nothing from elsewhere, and no other page may show it.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("x-frame-options", "DENY"),
];

/// Checks a request before it is processed, and adds the headers to the answer.
pub(crate) async fn guarded(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match guard.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    // By default, answers are not stored. Pictures that never change set their own header.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let guard = Guard::new("secret".to_owned(), vec!["studio.lan".to_owned()]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        guard.check(&uri.parse().unwrap(), &map).is_ok()
    }

    #[test]
    fn the_token_is_needed_on_every_call() {
        let host = ("host", "127.0.0.1:7860");
        assert!(check("/?token=secret", &[host]));
        assert!(check("/api/models?nodes=1&token=secret", &[host]));
        assert!(check(
            "/api/models",
            &[host, ("authorization", "Bearer secret")]
        ));
        for uri in [
            "/",
            "/?token=",
            "/?token=secre",
            "/?token=secret1",
            "/?xtoken=secret",
            "/studio.css",
        ] {
            assert!(!check(uri, &[host]), "{uri}");
        }
        assert!(!check("/", &[host, ("authorization", "Basic secret")]));
    }

    #[test]
    fn other_names_and_other_pages_are_refused() {
        let uri = "/api/models?token=secret";
        for host in [
            "localhost",
            "localhost:80",
            "127.0.0.1:7860",
            "[::1]:7860",
            "192.168.0.9",
            "studio.lan:1",
        ] {
            assert!(check(uri, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:7860",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert!(!check(uri, &[("host", host)]), "{host}");
        }
        let host = ("host", "localhost:7860");
        assert!(check(uri, &[host, ("origin", "http://localhost:7860")]));
        for origin in [
            "http://localhost:7861",
            "http://evil.example",
            "null",
            "file://",
        ] {
            assert!(!check(uri, &[host, ("origin", origin)]), "{origin}");
        }
        assert!(!check(uri, &[host, ("sec-fetch-site", "cross-site")]));
        assert!(check(uri, &[host, ("sec-fetch-site", "same-origin")]));
    }
}
