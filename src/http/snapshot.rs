//! `/v1/snapshot` (spec api 2.12): the archive of the state, out and in.
//!
//! The head of the answer goes out before the body, and the body is made piece by piece while the
//! client reads it. What can go wrong goes wrong before: no leader, no quorum, a datacenter that is not
//! ours. An archive that comes in is read and verified whole before the agent hears of it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};

use crate::agent::{Reply, Request, StateImage};
use crate::http::Backend;
use crate::http::body::{ARCHIVES_BYTES, BodyError};
use crate::http::endpoint::Call;
use crate::http::options::{Options, mismatch};
use crate::http::reply::{self, Refusal, set_read_meta};
use crate::wire::archive;

/// What Consul's sniffing makes of an archive (recorded behaviour).
const GZIP: HeaderValue = HeaderValue::from_static("application/x-gzip");

/// GET and PUT.
pub(super) async fn handle<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let options = Options::of_datacenter(&call);
    let stale = call.params.has("stale");
    if call.method == Method::PUT {
        return restore(call, &options, stale).await;
    }
    match options.ask(&call.backend, Request::SnapshotSave { stale }).await? {
        Reply::Snapshot { snapshot, state, meta } => {
            let pieces = archive::pack(&snapshot, call.backend.wall_clock(), *state.0);
            let mut response = Response::new(Body::new(Pieces(Box::new(pieces))));
            set_read_meta(response.headers_mut(), &meta);
            response.headers_mut().insert(CONTENT_TYPE, GZIP);
            Ok(response)
        }
        other => Err(mismatch(&other)),
    }
}

async fn restore<B: Backend>(
    mut call: Call<B>,
    options: &Options,
    stale: bool,
) -> Result<Response, Refusal> {
    let archive = match call.read_body(ARCHIVES_BYTES).await {
        Ok(archive) => archive,
        Err(BodyError::TooLarge(size)) => {
            let text =
                format!("Request body({size} bytes) too large, max size: {ARCHIVES_BYTES} bytes.");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Err(BodyError::Broken(text)) => return Err(Refusal::internal(text)),
    };
    if stale {
        return Err(Refusal::internal("stale not allowed for restore"));
    }
    let (_, state) = archive::unpack(&archive).map_err(|why| Refusal::internal(why.to_string()))?;
    let request = Request::SnapshotRestore(StateImage(Box::new(state)));
    match options.ask(&call.backend, request).await? {
        Reply::Done => Ok(reply::empty(StatusCode::OK)),
        other => Err(mismatch(&other)),
    }
}

/// A body whose pieces are made when they are wanted. Its length is not known before.
struct Pieces<I>(Box<I>);

impl<I: Iterator<Item = Vec<u8>>> hyper::body::Body for Pieces<I> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // An empty piece would be an empty chunk, which ends the body for the client.
        let next = self.0.find(|piece| !piece.is_empty());
        Poll::Ready(next.map(|piece| Ok(Frame::data(Bytes::from(piece)))))
    }
}
