//! `/v1/agent/monitor` (spec api 2.2): the agent's log lines as they come, until the client goes away.
//!
//! A client that reads slowly loses lines (`base::log_tap`); it never holds up the agent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use crate::base::log_json::as_json;
use crate::base::log_tap::LogTap;
use crate::base::runtime::Level;
use crate::http::Backend;
use crate::http::endpoint::Call;
use crate::http::reply::Refusal;

/// GET.
pub(super) async fn handle<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let asked = call.params.get("loglevel");
    let level = match asked.to_ascii_uppercase().as_str() {
        "TRACE" => Level::Trace,
        "DEBUG" => Level::Debug,
        "" | "INFO" => Level::Info,
        "WARN" => Level::Warn,
        "ERR" | "ERROR" => Level::Error,
        _ => {
            let text = format!("Bad request: Unknown log level: {asked}");
            return Err(Refusal::bad_request(text));
        }
    };
    let (tap, json) = (call.backend.log_taps().listen(level), call.params.has("logjson"));
    let mut response = Response::new(Body::new(Lines { tap, json }));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    Ok(response)
}

/// A body without an end. Dropping it ends the listening.
struct Lines {
    tap: LogTap,
    json: bool,
}

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = ready!(self.tap.poll_next(cx));
        let text = if self.json { as_json(&line) + "\n" } else { format!("{line}\n") };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))))
    }
}
