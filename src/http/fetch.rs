//! One request on a connection of its own, for health checks: whatever comes back is told as it comes.
//!
//! Unlike [`client`](super::client), which talks to agents, nothing here is taken for granted about who
//! answers: the head is bounded by hyper, the body is handed on in pieces and never collected, and what
//! was heard stays heard when the caller's patience ends in the middle of a body.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::ext::ReasonPhrase;
use hyper::header::HeaderMap;
use hyper::{Request, Response};

use super::client::{Taker, describe};
use super::stream::HyperStream;
use crate::base::runtime::ByteStream;

/// What comes before a body.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// What the server says of it; usually the code's own words.
    pub reason: String,
    /// The headers.
    pub headers: HeaderMap,
}

impl Head {
    fn of<B>(response: &Response<B>) -> Self {
        let status = response.status();
        let said = response.extensions().get::<ReasonPhrase>();
        let reason = match said {
            Some(said) => String::from_utf8_lossy(said.as_bytes()).into_owned(),
            None => status.canonical_reason().unwrap_or_default().to_owned(),
        };
        Self { status: status.as_u16(), reason, headers: response.headers().clone() }
    }
}

/// Sends a request as it is, `Host` included. `head` is set as soon as it is there, then `take` gets the
/// pieces of the body. Dropping the future closes the connection.
///
/// # Errors
/// The connection broke, or what came is not HTTP: why.
pub async fn fetch<S: ByteStream>(
    stream: S,
    request: Request<Full<Bytes>>,
    head: &mut Option<Head>,
    take: Taker<'_>,
) -> Result<(), String> {
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .handshake(HyperStream::new(stream))
        .await
        .map_err(describe)?;
    let mut connection = pin!(connection);
    let mut open = true;
    let mut answer = pin!(async move {
        let response = sender.send_request(request).await.map_err(cause)?;
        *head = Some(Head::of(&response));
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            // Frames without data are trailers.
            frame.map_err(cause)?.data_ref().into_iter().for_each(|it| take(it));
        }
        Ok(())
    });
    poll_fn(|cx| {
        if let Poll::Ready(done) = answer.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if open && connection.as_mut().poll(cx).is_ready() {
            open = false;
        }
        answer.as_mut().poll(cx)
    })
    .await
}

/// Why there is no answer; Go's word for one that ended before it began.
fn cause(error: hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_canceled() {
        return "EOF".to_owned();
    }
    describe(error)
}
