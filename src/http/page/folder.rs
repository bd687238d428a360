//! The operator's own UI, `ui_config.dir` (spec api 8.1): files of a folder below the content path.
//!
//! ```text
//!   /ui/app.js ─► app.js          /ui/docs/ ─► docs/index.html          /ui/docs ─► 301 /ui/docs/
//!   what is not there ─► the folder's index.html, whose script reads the path; without one: 404
//! ```
//!
//! Invariants: a path is decoded once and names only what is below the folder, without `..`, empty names and
//! control characters ([`admit`] and the disk both see to it); links in the folder are followed, they are its
//! owner's. A file may have [`FILE_BYTES`]; all that are on their way at a time share [`ROOM_KIB`], and at most
//! [`READERS`] are read at once, so that no number of clients takes more memory than that.
//!
//! Deliberately not here: listings of folders, ranges, dates and tags for caches.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{ROBOTS, for_readers};
use crate::http::Backend;
use crate::http::endpoint::{admit, moved};
use crate::http::reply;

/// The largest file that is served, bytes.
pub const FILE_BYTES: usize = 16 * 1024 * 1024;

/// What all files that are being sent may hold together, KiB.
const ROOM_KIB: usize = 128 * 1024;

/// How many files are read at a time.
const READERS: usize = 4;

const INDEX: &str = "index.html";

/// The folder's files below this path.
pub(super) fn routes<B: Backend>(backend: &B, path: &str) -> Router {
    let folder = Folder {
        backend: backend.clone(),
        path: path.into(),
        readers: Arc::new(Semaphore::new(READERS)),
        room: Arc::new(Semaphore::new(ROOM_KIB)),
    };
    let robots = folder.clone();
    let serve = async move |request: Request| folder.answer(request).await;
    Router::new()
        .route("/robots.txt", any(async move |request: Request| robots.robots(request).await))
        .route(path, any(serve.clone()))
        .route(&format!("{path}{{*rest}}"), any(serve))
}

#[derive(Clone)]
struct Folder<B> {
    backend: B,
    /// Where it is served.
    path: Arc<str>,
    readers: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

/// A file on its way, and the room that it takes there.
struct Sent {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<B: Backend> Folder<B> {
    async fn answer(&self, request: Request) -> Response {
        let path = match admit(&request) {
            Ok(path) => path,
            Err(refused) => return refused,
        };
        let refused = for_readers(&request, || reply::empty(StatusCode::OK));
        if refused.status() != StatusCode::OK {
            return refused;
        }
        let mut name = path.strip_prefix(&*self.path).unwrap_or_default().to_owned();
        if name.is_empty() || name.ends_with('/') {
            name.push_str(INDEX);
        }
        let read = match self.read(&name).await {
            Err(error) if error.kind() == ErrorKind::IsADirectory && !path.ends_with('/') => {
                return moved(&request, &format!("{path}/"));
            }
            Err(error) if is_absent(&error) && name != INDEX => {
                name = INDEX.to_owned();
                self.read(&name).await
            }
            read => read,
        };
        self.sent(&name, read)
    }

    async fn robots(&self, request: Request) -> Response {
        let read = self.read("robots.txt").await;
        let answer = match &read {
            Err(error) if is_absent(error) => reply::text(StatusCode::OK, ROBOTS),
            _ => self.sent("robots.txt", read),
        };
        for_readers(&request, || answer)
    }

    async fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        // Nobody closes the semaphore.
        let _turn = self.readers.acquire().await.map_err(io::Error::other)?;
        self.backend.ui_file(name).await
    }

    fn sent(&self, name: &str, read: io::Result<Vec<u8>>) -> Response {
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return refusal(name, &error),
        };
        let content_type = content_type(name, &bytes);
        let room_kib = u32::try_from(bytes.len() / 1024).unwrap_or(u32::MAX);
        match self.room.clone().try_acquire_many_owned(room_kib) {
            Ok(room) => {
                let sent = Sent { bytes, _room: room };
                reply::file(content_type, Bytes::from_owner(sent))
            }
            Err(_) => {
                let text = "too many large files are being sent: try again";
                reply::text(StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }
}

/// Whether there is no such file, and cannot be.
fn is_absent(error: &io::Error) -> bool {
    use ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidInput | InvalidFilename)
}

/// Without the path on this machine, which is nobody's business.
fn refusal(name: &str, error: &io::Error) -> Response {
    match error.kind() {
        _ if is_absent(error) => reply::text(StatusCode::NOT_FOUND, "404 page not found\n"),
        ErrorKind::PermissionDenied => reply::text(
            StatusCode::FORBIDDEN,
            format!("{name}: the agent may not read this file\n"),
        ),
        ErrorKind::FileTooLarge => {
            let text = format!("{name}: larger than {FILE_BYTES} bytes, which is not served\n");
            reply::text(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
        kind => {
            let text = format!("{name}: cannot be read: {kind}\n");
            reply::text(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

/// By the name's end; where that says nothing, a text is one that reads as such.
fn content_type(name: &str, bytes: &[u8]) -> &'static str {
    let (_, kind) = name.rsplit_once('.').unwrap_or_default();
    match kind.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "xml" => "text/xml; charset=utf-8",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        _ if !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() => {
            "text/plain; charset=utf-8"
        }
        _ => "application/octet-stream",
    }
}
