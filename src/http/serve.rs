//! Connections: hyper's HTTP/1.1 server over the runtime's streams.
//!
//! ```text
//!   accept ─► one task a connection ─► hyper ─► Host check ─► Router ─► Date
//!      └─ more than 200 from one address: 429 and close
//! ```
//!
//! A connection that has begun a request head must finish it within [`HEAD_TIMEOUT`], and one that owes a
//! body must not be silent for [`BODY_TIMEOUT`]; an idle one may stay open for ever, as with Consul. hyper gets no timer: it would read the system's clock.
//! When the client goes away, its request's future is dropped, so abandoned blocking queries end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::header::{DATE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode, Version};
use tower_service::Service;

use crate::base::runtime::{ByteStream, Listener, Runtime, Timer, shutdown, write_all};
use crate::base::{Duration, Seats};
use crate::http::policy::ClientAddress;
use crate::http::reply;
use crate::http::stream::{HyperStream, Traffic, WatchedBody};

/// `limits.http_max_conns_per_client` (spec api 1.1).
pub const MAX_CONNECTIONS_PER_CLIENT: usize = 200;

/// How long a request head may take from its first byte to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long nothing may come of a body that a handler waits for.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n\
    Connection: close\r\n\r\nYour IP is issuing too many concurrent connections, \
    please rate limit your calls\n";

/// Accepts connections until the task is stopped, each served in a task of its own, as long as its
/// address has a seat.
pub async fn serve_all<R: Runtime>(
    runtime: R,
    mut listener: R::Listener,
    router: Router,
    seats: Seats,
) {
    loop {
        let mut stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(_) => {
                // Out of descriptors, or a client gone before it was accepted: neither is final.
                runtime.sleep(Duration::from_millis(5)).await;
                continue;
            }
        };
        let Some(seat) = seats.take(stream.peer_addr().ip()) else {
            runtime.spawn("http-refuse", async move {
                // The refusal is a courtesy: when it cannot be written, closing says enough.
                if write_all(&mut stream, TOO_MANY).await.is_ok() {
                    let _ = shutdown(&mut stream).await;
                }
            });
            continue;
        };
        let (own, router) = (runtime.clone(), router.clone());
        runtime.spawn("http", async move {
            serve(&own, stream, router).await;
            drop(seat);
        });
    }
}

/// Serves one connection to its end. Errors end it: there is nobody to tell but the client, and
/// hyper has told it.
pub async fn serve<R: Runtime, S: ByteStream>(runtime: &R, stream: S, router: Router) {
    let client = ClientAddress(stream.peer_addr().ip());
    let io = HyperStream::new(stream);
    let head = Arc::new(Head { traffic: io.traffic() });
    let dates = Arc::new(Mutex::new(DateHeader::default()));
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(client);
        let (runtime, router) = (runtime.clone(), router.clone());
        let (head, dates) = (head.clone(), dates.clone());
        async move {
            head.complete();
            let request = request.map(|body| WatchedBody::new(body, head.traffic.clone()));
            let mut response = answer(router, request).await;
            head.answered();
            let seconds = runtime.wall_clock().0.div_euclid(1_000_000_000);
            let mut dates = dates.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(date) = dates.at(seconds) {
                response.headers_mut().insert(DATE, date);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .title_case_headers(true)
        .auto_date_header(false)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut timer = runtime.timer();
    let mut timed = Waiting::Nothing;
    poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let waiting = head.waiting();
        if waiting != timed {
            timed = waiting;
            timer.set(timed.limit().map(|limit| runtime.now() + limit));
        }
        if timed.limit().is_some() { timer.poll_fired(cx) } else { Poll::Pending }
    })
    .await;
}

/// What of the client a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// For nothing that it owes.
    Nothing,
    /// For the rest of a head.
    Head,
    /// For more of a body, after so many bytes.
    Body(u64),
}

impl Waiting {
    fn limit(self) -> Option<Duration> {
        match self {
            Waiting::Nothing => None,
            Waiting::Head => Some(HEAD_TIMEOUT),
            Waiting::Body(_) => Some(BODY_TIMEOUT),
        }
    }
}

/// Where a connection stands between two requests.
struct Head {
    traffic: Arc<Traffic>,
}

impl Head {
    /// A request head has been read whole.
    fn complete(&self) {
        self.traffic.busy.store(true, Ordering::Relaxed);
    }

    /// Its request is answered; what was heard until now was its body.
    fn answered(&self) {
        self.traffic.busy.store(false, Ordering::Relaxed);
        self.traffic.heard.store(false, Ordering::Relaxed);
    }

    fn waiting(&self) -> Waiting {
        let traffic = &self.traffic;
        if traffic.is_partial() {
            return Waiting::Head;
        }
        match traffic.awaits_body.load(Ordering::Relaxed) {
            true => Waiting::Body(traffic.read.load(Ordering::Relaxed)),
            false => Waiting::Nothing,
        }
    }
}

async fn answer(mut router: Router, request: Request<WatchedBody>) -> Response {
    let wants_host = request.version() == Version::HTTP_11 && request.uri().host().is_none();
    if wants_host && !request.headers().contains_key(HOST) {
        let text = "400 Bad Request: missing required Host header";
        return reply::text(StatusCode::BAD_REQUEST, text);
    }
    let answered = Service::call(&mut router, request.map(Body::new)).await;
    answered.unwrap_or_else(|never: Infallible| match never {})
}

/// The Date header, formatted once a second.
#[derive(Default)]
struct DateHeader {
    seconds: i64,
    text: Option<HeaderValue>,
}

impl DateHeader {
    /// None for a wall clock before 1970 or after 9999, which HTTP cannot write.
    fn at(&mut self, seconds: i64) -> Option<HeaderValue> {
        const LAST: i64 = 253_402_300_799;
        if self.text.is_none() || self.seconds != seconds {
            let since_epoch = u64::try_from(seconds).ok().filter(|_| seconds <= LAST)?;
            let time = std::time::UNIX_EPOCH + Duration::from_secs(since_epoch);
            self.text = HeaderValue::try_from(httpdate::fmt_http_date(time)).ok();
            self.seconds = seconds;
        }
        self.text.clone()
    }
}
