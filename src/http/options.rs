//! The parameters that every read understands: datacenter, consistency, blocking (spec api 1.7, 1.9).
//! Checked for writes too, as Consul does.

use hyper::header::{CACHE_CONTROL, HeaderMap};

use crate::agent::{ReadMeta, ReadMode, ReadOptions, Reply, Request};
use crate::base::{Duration, go_duration};
use crate::http::endpoint::Call;
use crate::http::params::Params;
use crate::http::reply::Refusal;
use crate::http::{Backend, Identity};
use crate::state::{Answer, Query, Rows};

/// How a request is to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    datacenter: String,
    mode: ReadMode,
    /// An answer older than this is asked for again, at the leader.
    max_stale: Option<Duration>,
    min_index: u64,
    wait: Duration,
}

impl Options {
    pub(super) fn parse(
        params: &Params,
        headers: &HeaderMap,
        identity: &Identity,
    ) -> Result<Self, Refusal> {
        refuse_enterprise(params, headers)?;
        let (mode, max_stale) = parse_consistency(params)?;
        check_cache_control(headers)?;
        let (min_index, wait) = parse_wait(params, identity)?;
        let datacenter = datacenter(params, identity);
        Ok(Self { datacenter, mode, max_stale, min_index, wait })
    }

    /// For an endpoint that takes a datacenter and knows nothing of consistency or waiting.
    pub(super) fn of_datacenter<B: Backend>(call: &Call<B>) -> Self {
        Self {
            datacenter: datacenter(&call.params, call.identity()),
            mode: ReadMode::Default,
            max_stale: None,
            min_index: 0,
            wait: Duration::ZERO,
        }
    }

    /// The mode that was asked for.
    pub(super) fn mode(&self) -> ReadMode {
        self.mode
    }

    /// The same, answered at once: for endpoints that never block.
    pub(super) fn without_blocking(self) -> Self {
        Self { min_index: 0, ..self }
    }

    /// Passes a request on, in the datacenter that it is for.
    pub(super) async fn ask<B: Backend>(
        &self,
        backend: &B,
        request: Request,
    ) -> Result<Reply, Refusal> {
        if self.datacenter != backend.identity().datacenter {
            return Err(Refusal::internal("No path to datacenter"));
        }
        Ok(backend.ask(request).await?)
    }

    /// Reads, in the mode that was asked for; blocks when an index was given.
    pub(super) async fn read<B: Backend>(
        &self,
        backend: &B,
        query: Query,
    ) -> Result<(Answer, ReadMeta), Refusal> {
        let jitter = match self.min_index {
            0 => Duration::ZERO,
            _ => backend.jitter(self.wait / 16),
        };
        let max_wait = self.wait + jitter;
        let mut options = ReadOptions { mode: self.mode, min_index: self.min_index, max_wait };
        let first = Request::Read { query: query.clone(), options: options.clone() };
        let (answer, meta) = expect_read(self.ask(backend, first).await?)?;
        if self.max_stale.is_none_or(|limit| meta.last_contact <= limit) {
            return Ok((answer, meta));
        }
        options.mode = ReadMode::Default;
        expect_read(self.ask(backend, Request::Read { query, options }).await?)
    }
}

/// The datacenter that a request is for: the agent's own, unless it says.
fn datacenter(params: &Params, identity: &Identity) -> String {
    let own = identity.datacenter.as_str();
    let asked = [params.get("datacenter"), params.get("dc"), own];
    asked.into_iter().find(|name| !name.is_empty()).unwrap_or(own).to_owned()
}

fn expect_read(reply: Reply) -> Result<(Answer, ReadMeta), Refusal> {
    match reply {
        Reply::Read { answer, meta } => Ok((answer, meta)),
        other => Err(mismatch(&other)),
    }
}

/// The agent answered another question than was asked: only a foreign server can cause it.
pub(super) fn mismatch(reply: &Reply) -> Refusal {
    Refusal::internal(format!("rpc error making call: unexpected reply {reply:?}"))
}

/// Likewise, of an answer with other rows.
pub(super) fn unexpected(rows: &Rows) -> Refusal {
    Refusal::internal(format!("rpc error making call: unexpected rows {rows:?}"))
}

fn refuse_enterprise(params: &Params, headers: &HeaderMap) -> Result<(), Refusal> {
    let feature = "Namespaces are a Consul Enterprise feature";
    if headers.get("x-consul-namespace").is_some_and(|value| !value.is_empty()) {
        let text = format!("Bad request: Invalid header: \"X-Consul-Namespace\" - {feature}");
        return Err(Refusal::bad_request(text));
    }
    if !params.get("ns").is_empty() {
        let text = format!("Bad request: Invalid query parameter: \"ns\" - {feature}");
        return Err(Refusal::bad_request(text));
    }
    Ok(())
}

fn parse_consistency(params: &Params) -> Result<(ReadMode, Option<Duration>), Refusal> {
    let max_stale = match params.get("max_stale") {
        "" => None,
        text => match go_duration::parse(text) {
            Some(nanos) => u64::try_from(nanos).ok().filter(|&n| n > 0).map(Duration::from_nanos),
            None => {
                let text = format!("Invalid max_stale value {}", crate::http::kv::go_quote(text));
                return Err(Refusal::bad_request(text));
            }
        },
    };
    let stale = params.has("stale") || max_stale.is_some();
    let conflict = |other| {
        let text = format!("Cannot specify ?{other} with ?consistent, conflicting semantics.");
        Err(Refusal::bad_request(text))
    };
    match (stale, params.has("consistent"), params.has("cached")) {
        (true, true, _) => conflict("stale"),
        (_, true, true) => conflict("cached"),
        (true, _, _) => Ok((ReadMode::Stale, max_stale)),
        (_, true, _) => Ok((ReadMode::Consistent, None)),
        _ => Ok((ReadMode::Default, None)),
    }
}

/// The values are for the agent's cache, which KV does not use; their form is checked all the same.
fn check_cache_control(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()) else {
        return Ok(());
    };
    for part in value.split(',') {
        let (name, number) = part.trim().split_once('=').unwrap_or((part.trim(), ""));
        let timed = ["max-age", "stale-if-error"].iter().any(|it| name.eq_ignore_ascii_case(it));
        if timed && number.parse::<u32>().is_err() {
            return Err(Refusal::bad_request("Invalid Cache-Control header."));
        }
    }
    Ok(())
}

fn parse_wait(params: &Params, identity: &Identity) -> Result<(u64, Duration), Refusal> {
    let wait = parse_wait_time(params)?;
    let wait = if wait.is_zero() { identity.default_query_time } else { wait };
    Ok((parse_index(params)?, wait.min(identity.max_query_time)))
}

/// `wait`; zero when it is not said.
pub(super) fn parse_wait_time(params: &Params) -> Result<Duration, Refusal> {
    match params.get("wait") {
        "" => Ok(Duration::ZERO),
        text => {
            go_duration::parse_span(text).ok_or_else(|| Refusal::bad_request("Invalid wait time"))
        }
    }
}

/// `index`; 0 when it is not said.
pub(super) fn parse_index(params: &Params) -> Result<u64, Refusal> {
    match params.get("index") {
        "" => Ok(0),
        text => parse_unsigned(text).map_err(|_| Refusal::bad_request("Invalid index")),
    }
}

/// Why a number was not read, in the words of Go's strconv.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberError {
    Syntax,
    Range,
}

/// Go's `strconv.ParseUint(text, 10, 64)`: digits alone, no sign.
pub(super) fn parse_unsigned(text: &str) -> Result<u64, NumberError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberError::Syntax);
    }
    text.parse().map_err(|_| NumberError::Range)
}
