//! One question of the gRPC health protocol (`grpc.health.v1.Health/Check`) over HTTP/2.
//!
//! ```text
//!   HEADERS  POST /grpc.health.v1.Health/Check   content-type: application/grpc, te: trailers
//!   DATA     0  len(4)  protobuf { 1: service }      ──►
//!                                                    ◄──  DATA     0  len(4)  protobuf { 1: status }
//!                                                    ◄──  HEADERS  grpc-status, grpc-message (trailers)
//! ```
//!
//! hyper speaks HTTP/2; framing and the two tiny messages are read and written here. No timers: whoever
//! asks brings the patience. What a server sends is bounded: an answer is a few bytes.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use hyper::rt::Executor;
use hyper::{Request, Response};

use super::client::describe;
use super::stream::HyperStream;
use crate::base::runtime::Runtime;

/// The status of a service that is well (`SERVING`).
pub const SERVING: u64 = 1;

/// An answer is a few bytes; more is not read.
const ANSWER_BYTES_MAX: usize = 4096;
/// Flag and length before a message.
const PREFIX_BYTES: usize = 5;

/// gRPC's names of its status codes.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// An error as grpc-go writes it.
#[must_use]
pub fn rpc_error(code: &str, why: &str) -> String {
    format!("rpc error: code = {code} desc = {why}")
}

/// Spawns what hyper needs beside the connection itself.
struct Spawner<R>(Arc<R>);

impl<R> Clone for Spawner<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Runtime, F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner<R> {
    fn execute(&self, task: F) {
        self.0.spawn("grpc connection", task);
    }
}

/// How this service stands, as the server at the other end says it: [`SERVING`], or another number.
///
/// # Errors
/// In grpc-go's words: the server refuses, or does not speak the protocol.
pub async fn ask_health<R: Runtime>(
    runtime: &R,
    stream: R::Stream,
    authority: &str,
    service: &str,
) -> Result<u64, String> {
    let unavailable = |error| rpc_error("Unavailable", &describe(error));
    let request = Request::post(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, "Consul Health Check")
        .body(Full::new(question(service)))
        .map_err(|error| rpc_error("Internal", &error.to_string()))?;
    let executor = Spawner(Arc::new(runtime.clone()));
    let stream = HyperStream::new(stream);
    let (mut sender, connection) =
        http2::Builder::new(executor).handshake(stream).await.map_err(unavailable)?;
    let mut connection = pin!(connection);
    let mut open = true;
    let mut answer = pin!(async move {
        read_answer(sender.send_request(request).await.map_err(unavailable)?).await
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

async fn read_answer(response: Response<Incoming>) -> Result<u64, String> {
    let (parts, mut body) = response.into_parts();
    refusal(&parts.headers)?;
    if parts.status != 200 {
        let why = format!("unexpected HTTP status code received from server: {}", parts.status);
        return Err(rpc_error("Unknown", &why));
    }
    let mut message = Vec::new();
    let mut told = parts.headers.contains_key("grpc-status");
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| rpc_error("Unavailable", &describe(error)))?;
        if let Some(trailers) = frame.trailers_ref() {
            refusal(trailers)?;
            told |= trailers.contains_key("grpc-status");
        }
        if let Some(data) = frame.data_ref() {
            if message.len() + data.len() > ANSWER_BYTES_MAX {
                return Err(rpc_error("ResourceExhausted", "the answer is too large"));
            }
            message.extend_from_slice(data);
        }
    }
    if !told {
        return Err(rpc_error("Internal", "server closed the stream without sending trailers"));
    }
    status(&message).ok_or_else(|| rpc_error("Internal", "the answer is no HealthCheckResponse"))
}

/// What headers or trailers say went wrong.
fn refusal(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).map(|it| String::from_utf8_lossy(it.as_bytes()));
    match text("grpc-status").as_deref() {
        None | Some("0") => Ok(()),
        Some(code) => {
            let number = code.parse::<usize>().ok();
            let name = number.and_then(|it| CODES.get(it)).copied();
            let name = name.map_or_else(|| format!("Code({code})"), str::to_owned);
            Err(rpc_error(&name, &unescaped(&text("grpc-message").unwrap_or_default())))
        }
    }
}

/// `grpc-message` is percent-encoded.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|it| std::str::from_utf8(it).ok());
        let byte = pair.and_then(|it| u8::from_str_radix(it, 16).ok());
        match (bytes[at], byte) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                at += 3;
            }
            (other, _) => {
                plain.push(other);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// A framed `HealthCheckRequest`.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut len = service.len();
        while len >= 0x80 {
            message.push((len & 0x7f) as u8 | 0x80);
            len >>= 7;
        }
        message.push(len as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&message);
    framed.into()
}

/// The status in a framed `HealthCheckResponse`; 0 (unknown) when it is left out.
fn status(framed: &[u8]) -> Option<u64> {
    let (prefix, mut message) = framed.split_at_checked(PREFIX_BYTES)?;
    let len = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    if prefix[0] != 0 || u32::try_from(message.len()).ok()? != len {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => {
                let value = varint(&mut message)?;
                status = if tag >> 3 == 1 { value } else { status };
            }
            1 => message = message.get(8..)?,
            2 => {
                let len = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(len..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed_protobuf() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("web")[..], [0, 0, 0, 0, 5, 0x0a, 3, b'w', b'e', b'b']);
        assert_eq!(question(&"x".repeat(200))[5..8], [0x0a, 0xc8, 1]);
        assert_eq!(status(&[0, 0, 0, 0, 0]), Some(0));
        assert_eq!(status(&[0, 0, 0, 0, 2, 8, 1]), Some(SERVING));
        assert_eq!(status(&[0, 0, 0, 0, 6, 0x12, 2, 9, 9, 8, 2]), Some(2));
        for broken in [&[][..], &[0, 0, 0, 0, 2, 8], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 2, 8, 0x80]] {
            assert_eq!(status(broken), None, "{broken:?}");
        }
        assert_eq!(unescaped("no%20such%2"), "no such%2");
    }
}
