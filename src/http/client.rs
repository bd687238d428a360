//! A small HTTP client over the runtime's streams: one keep-alive connection, one request at a time,
//! no task of its own (the connection is driven by the request's future).
//!
//! An error tells whether the request may have had an effect: with [`ClientError::NotSent`] no byte of
//! it left this side; with [`ClientError::NoAnswer`] some did, and what became of it is unknown.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};

use crate::base::runtime::ByteStream;
use crate::http::stream::{HyperStream, Traffic};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// Nothing was sent: certainly without effect.
    NotSent(String),
    /// The request left, whole or in part, and no whole answer came: outcome unknown.
    NoAnswer(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NotSent(why) | ClientError::NoAnswer(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ClientError {}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A header's value as text; none when absent or not ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Takes the pieces of a body as they come.
pub type Taker<'a> = &'a mut (dyn FnMut(&[u8]) + Send);

/// A keep-alive connection to one agent.
pub struct Client<S: ByteStream> {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<HyperStream<S>, Full<Bytes>>,
    traffic: Arc<Traffic>,
    host: HeaderValue,
    open: bool,
}

impl<S: ByteStream> Client<S> {
    /// Takes a connected stream. Sends nothing yet.
    ///
    /// # Errors
    /// `NotSent`, when the connection cannot be used.
    pub async fn new(stream: S) -> Result<Self, ClientError> {
        let host = HeaderValue::try_from(stream.peer_addr().to_string()).map_err(not_sent)?;
        let io = HyperStream::new(stream);
        let traffic = io.traffic();
        let (sender, connection) =
            http1::Builder::new().title_case_headers(true).handshake(io).await.map_err(not_sent)?;
        Ok(Self { sender, connection, traffic, host, open: true })
    }

    /// Whether another request can be tried; false after an error or a closing answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open && !self.sender.is_closed()
    }

    /// Sends a request and reads the whole answer. `target` is a path with its query, already
    /// percent-encoded. Dropping the future before its end leaves the connection unusable: drop the
    /// client too.
    ///
    /// # Errors
    /// `NotSent` for a malformed target or header, or when the connection was closed before; else
    /// `NoAnswer`.
    pub async fn request(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        self.converse(method, target, headers, body, None).await
    }

    /// Asks for a body that may have no end: `take` gets its pieces as they come. A body that is no 200's
    /// is read whole, into the answer.
    ///
    /// # Errors
    /// As [`Client::request`]; also when the connection breaks in the middle of the body.
    pub async fn follow(&mut self, target: &str, take: Taker<'_>) -> Result<Answer, ClientError> {
        self.converse(Method::GET, target, &[], Bytes::new(), Some(take)).await
    }

    async fn converse(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
        take: Option<Taker<'_>>,
    ) -> Result<Answer, ClientError> {
        let uri = Uri::try_from(target).map_err(not_sent)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.headers_mut().insert(HOST, self.host.clone());
        for (name, value) in headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let written_before = self.traffic.written.load(Ordering::Relaxed);
        let result = self.exchange(request, take).await;
        result.map_err(|why| {
            self.open = false;
            if self.traffic.written.load(Ordering::Relaxed) == written_before {
                ClientError::NotSent(why)
            } else {
                ClientError::NoAnswer(why)
            }
        })
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        take: Option<Taker<'_>>,
    ) -> Result<Answer, String> {
        // Notices that the server has closed an idle connection, before anything is sent on it.
        poll_fn(|cx| {
            drive(&mut self.connection, &mut self.open, cx);
            Poll::Ready(())
        })
        .await;
        if !self.is_open() {
            return Err("the connection was closed".to_owned());
        }
        let sender = &mut self.sender;
        let (connection, open) = (&mut self.connection, &mut self.open);
        let mut answer = pin!(async move {
            let response = sender.send_request(request).await.map_err(describe)?;
            let (parts, mut body) = response.into_parts();
            if let Some(take) = take.filter(|_| parts.status == StatusCode::OK) {
                while let Some(frame) = body.frame().await {
                    // Frames without data are trailers.
                    frame.map_err(describe)?.data_ref().into_iter().for_each(|it| take(it));
                }
            }
            let body = body.collect().await.map_err(describe)?.to_bytes();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        });
        poll_fn(|cx| {
            // First hand the request over, then move bytes, then look for what they brought.
            if let Poll::Ready(done) = answer.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            drive(connection, open, cx);
            answer.as_mut().poll(cx)
        })
        .await
    }
}

/// Moves bytes both ways until the connection waits or ends.
fn drive<S: ByteStream>(
    connection: &mut Connection<HyperStream<S>, Full<Bytes>>,
    open: &mut bool,
    cx: &mut Context<'_>,
) {
    if *open && Pin::new(connection).poll(cx).is_ready() {
        *open = false;
    }
}

/// One request on a stream of its own.
///
/// # Errors
/// As [`Client::request`].
pub async fn request<S: ByteStream>(
    stream: S,
    method: Method,
    target: &str,
    headers: &[(HeaderName, HeaderValue)],
    body: Bytes,
) -> Result<Answer, ClientError> {
    Client::new(stream).await?.request(method, target, headers, body).await
}

fn not_sent(error: impl fmt::Display) -> ClientError {
    ClientError::NotSent(error.to_string())
}

/// hyper's errors keep the cause apart.
pub(super) fn describe(error: hyper::Error) -> String {
    match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
