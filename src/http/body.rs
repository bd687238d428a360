//! Reads a request's body with a limit, so that no sender decides how much memory it takes.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Body as _;
use hyper::header::EXPECT;

/// What is read and thrown away of a body that is too large, so that its sender finishes writing and
/// then reads the refusal; a connection closed with unread bytes is reset, and the refusal lost.
const DISCARDED_BYTES: u64 = 16 * 1024 * 1024;

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// More than the limit: as many bytes as were announced, or else as were seen.
    TooLarge(u64),
    /// The sender went away or sent nonsense.
    Broken(String),
}

/// The whole body, of at most `limit` bytes.
pub(super) async fn read_limited(
    mut body: Body,
    headers: &HeaderMap,
    limit: u64,
) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().exact();
    if let Some(size) = announced.filter(|&size| size > limit) {
        // A sender that waits for "100 Continue" has sent nothing yet and need not.
        if !headers.contains_key(EXPECT) {
            discard(body, 0).await?;
        }
        return Err(BodyError::TooLarge(size));
    }
    let mut whole = Bytes::new();
    let mut joined = BytesMut::new();
    let mut seen: u64 = 0;
    while let Some(chunk) = next_chunk(&mut body).await? {
        seen += chunk.len() as u64;
        if seen > limit {
            drop((whole, joined));
            return Err(BodyError::TooLarge(discard(body, seen).await?));
        }
        if seen == chunk.len() as u64 {
            whole = chunk; // The usual case: one piece, not copied.
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&whole);
            }
            joined.extend_from_slice(&chunk);
        }
    }
    Ok(if joined.is_empty() { whole } else { joined.freeze() })
}

/// Reads on without keeping; how many bytes were seen in all.
async fn discard(mut body: Body, mut seen: u64) -> Result<u64, BodyError> {
    while seen < DISCARDED_BYTES {
        match next_chunk(&mut body).await? {
            Some(chunk) => seen += chunk.len() as u64,
            None => break,
        }
    }
    Ok(seen)
}

async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(BodyError::Broken(error.to_string())),
            // Frames without data are trailers.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
