//! HTTP checks: one request, up to ten redirects, and the end of the body.
//!
//! 2xx passes, 429 warns, anything else is critical. As with Go's client, patience ends the whole of it,
//! but a body that is cut in the middle is no failure: the status has been heard.

use std::pin::pin;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION,
    USER_AGENT, WWW_AUTHENTICATE,
};
use hyper::{Method, Request};

use crate::agent::{Health, Probe, ProbeResult};
use crate::base::Duration;
use crate::base::runtime::Runtime;
use crate::http::fetch::{Head, fetch};

use super::dial::dial;
use super::url::Url;
use super::{critical, output_limit, result};

/// So many requests in all, as with Go's client.
const REDIRECTS_MAX: usize = 10;

/// The end of a body.
pub(in crate::driver) struct Tail {
    limit: usize,
    pub(in crate::driver) bytes: Vec<u8>,
    /// How much there was in all, bytes.
    pub(in crate::driver) written: u64,
}

impl Tail {
    pub(in crate::driver) fn new(limit: usize) -> Self {
        Self { limit, bytes: Vec::new(), written: 0 }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.written = 0;
    }

    fn take(&mut self, piece: &[u8]) {
        self.written += piece.len() as u64;
        self.bytes.extend_from_slice(piece);
        let surplus = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..surplus);
    }
}

/// What is asked next.
pub(in crate::driver) struct Asked {
    pub(in crate::driver) method: Method,
    pub(in crate::driver) url: Url,
    pub(in crate::driver) headers: HeaderMap,
    pub(in crate::driver) body: Bytes,
}

pub(super) async fn look<R: Runtime>(
    runtime: &R,
    probe: &Probe,
    patience: Duration,
) -> ProbeResult {
    let definition = &probe.definition;
    let word = if definition.method.is_empty() { "GET" } else { &definition.method };
    let Ok(method) = Method::from_bytes(word.as_bytes()) else {
        return critical(format!("net/http: invalid method \"{word}\""));
    };
    let failed = |url: &str, why: &str| critical(format!("{} \"{url}\": {why}", titled(word)));
    let url = match Url::parse(&definition.http) {
        Ok(url) => url,
        Err(why) if why.starts_with("parse ") => return critical(why),
        Err(why) => return failed(&definition.http, &why),
    };
    let headers = match headers(probe, &url) {
        Ok(headers) => headers,
        Err(why) => return failed(&definition.http, &why),
    };
    let body = Bytes::from(definition.body.clone());
    let mut asked = Asked { method, url, headers, body };
    let mut tail = Tail::new(output_limit(probe));
    let mut head = None;
    let mut done = Ok(());
    {
        let mut following = pin!(follow(runtime, &mut asked, &mut head, &mut tail));
        match runtime.timeout(patience, following.as_mut()).await {
            Ok(ended) => done = ended,
            Err(_) => {
                let text =
                    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
                done = done.and(Err(text.to_owned()));
            }
        }
    }
    // Redirects leave no head behind: this is the last one's, whose body may have been cut.
    match (head, done) {
        (Some(head), _) => {
            let health = match head.status {
                200..=299 => Health::Passing,
                429 => Health::Warning,
                _ => Health::Critical,
            };
            let output = String::from_utf8_lossy(&tail.bytes);
            let Head { status, reason, .. } = head;
            let text =
                format!("HTTP {word} {}: {status} {reason} Output: {output}", definition.http);
            result(health, text)
        }
        (None, Err(why)) => failed(&asked.url.shown(), &why),
        (None, Ok(())) => failed(&asked.url.shown(), "EOF"),
    }
}

/// Asks until the answer is no redirect. The answer's head stays in `head`, its body's end in `tail`.
pub(in crate::driver) async fn follow<R: Runtime>(
    runtime: &R,
    asked: &mut Asked,
    head: &mut Option<Head>,
    tail: &mut Tail,
) -> Result<(), String> {
    for _ in 0..REDIRECTS_MAX {
        if asked.url.scheme != "http" {
            return Err(match asked.url.scheme.as_str() {
                "https" => {
                    "this agent does not speak TLS yet: HTTPS checks cannot be run".to_owned()
                }
                other => format!("unsupported protocol scheme \"{other}\""),
            });
        }
        let stream = dial(runtime, &asked.url.address()).await?;
        let mut request = Request::new(Full::new(asked.body.clone()));
        *request.method_mut() = asked.method.clone();
        let target = asked.url.target.parse();
        *request.uri_mut() = target.map_err(|error| format!("invalid URL: {error}"))?;
        *request.headers_mut() = asked.headers.clone();
        tail.clear();
        let told = fetch(stream, request, head, &mut |piece| tail.take(piece)).await;
        let Some(status) = head.as_ref().map(|it| it.status) else { return told };
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            return told;
        }
        let location = head.take().and_then(|it| it.headers.get(LOCATION).cloned());
        let Some(location) = location else {
            return Err(format!("{status} response missing Location header"));
        };
        redirect(asked, status, &String::from_utf8_lossy(location.as_bytes()))?;
    }
    Err(format!("stopped after {REDIRECTS_MAX} redirects"))
}

fn redirect(asked: &mut Asked, status: u16, location: &str) -> Result<(), String> {
    let to = asked.url.join(location)?;
    if matches!(status, 301..=303) && asked.method != Method::HEAD {
        asked.method = Method::GET;
        asked.body = Bytes::new();
    }
    if to.host != asked.url.host {
        for secret in [AUTHORIZATION, COOKIE, WWW_AUTHENTICATE] {
            asked.headers.remove(secret);
        }
        asked.headers.insert(HOST, value(&to.host)?);
    }
    asked.url = to;
    Ok(())
}

/// The check's headers, and those that it does not give.
fn headers(probe: &Probe, url: &Url) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in &probe.definition.header {
        let wrong = |_| format!("net/http: invalid header field name \"{name}\"");
        let name = HeaderName::try_from(name.as_str()).map_err(wrong)?;
        for text in values {
            headers.append(name.clone(), value(text)?);
        }
    }
    let mut default = |name: HeaderName, text: &str| -> Result<(), String> {
        if headers.get(&name).is_none_or(HeaderValue::is_empty) {
            headers.insert(name, value(text)?);
        }
        Ok(())
    };
    default(HOST, &url.host)?;
    default(USER_AGENT, "Consul Health Check")?;
    default(ACCEPT, "text/plain, text/*, */*")?;
    if !url.user.is_empty() {
        let code = BASE64_STANDARD.encode(&url.user);
        default(AUTHORIZATION, &format!("Basic {code}"))?;
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(headers)
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text)
        .map_err(|_| format!("net/http: invalid header field value \"{text}\""))
}

/// `Get`, `Post`: how Go's client begins its errors.
fn titled(method: &str) -> String {
    let mut text = method.to_ascii_lowercase();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}
