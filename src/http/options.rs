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
    /// What may be kept of it; only for those who ask with `?cached`.
    cache_control: Option<CacheControl>,
}

/// What a request says of answers that were kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CacheControl {
    /// One that was fetched longer ago does not count; none: any does.
    pub(super) max_age: Option<Duration>,
    /// But it does when nothing better can be had, up to this age.
    pub(super) stale_if_error: Duration,
    /// None counts.
    pub(super) must_revalidate: bool,
}

impl Options {
    pub(super) fn parse(
        params: &Params,
        headers: &HeaderMap,
        identity: &Identity,
    ) -> Result<Self, Refusal> {
        refuse_enterprise(params, headers)?;
        let (mode, max_stale) = parse_consistency(params)?;
        let cache_control = parse_cache_control(headers)?;
        let (min_index, wait) = parse_wait(params, identity)?;
        let datacenter = datacenter(params, identity);
        let cache_control = params.has("cached").then_some(cache_control);
        Ok(Self { datacenter, mode, max_stale, min_index, wait, cache_control })
    }

    /// The same, as reads of catalog and health take it: `discovery_max_stale` lets any server answer
    /// those who do not say who is to.
    pub(super) fn of_discovery(self, params: &Params, identity: &Identity) -> Self {
        let limit = identity.discovery_max_stale;
        if limit.is_zero() || self.mode != ReadMode::Default || params.has("leader") {
            return self;
        }
        Self { mode: ReadMode::Stale, max_stale: Some(limit), ..self }
    }

    /// For an endpoint that takes a datacenter and knows nothing of consistency or waiting.
    pub(super) fn of_datacenter<B: Backend>(call: &Call<B>) -> Self {
        Self {
            datacenter: datacenter(&call.params, call.identity()),
            mode: ReadMode::Default,
            max_stale: None,
            min_index: 0,
            wait: Duration::ZERO,
            cache_control: None,
        }
    }

    /// The same, for a datacenter that the body names; an empty name says nothing.
    pub(super) fn in_datacenter(self, name: &str) -> Self {
        if name.is_empty() { self } else { Self { datacenter: name.to_owned(), ..self } }
    }

    /// The datacenter that is asked.
    pub(super) fn asked(&self) -> &str {
        &self.datacenter
    }

    /// What may be kept; none: nothing.
    pub(super) fn cache_control(&self) -> Option<CacheControl> {
        self.cache_control
    }

    /// The same, from whichever server answers.
    pub(super) fn from_any_server(self) -> Self {
        Self { mode: ReadMode::Stale, max_stale: None, ..self }
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
        self.read_in_mode(backend, query).await.map(|(answer, meta, _)| (answer, meta))
    }

    /// Likewise; also the mode in which the answer was given.
    pub(super) async fn read_in_mode<B: Backend>(
        &self,
        backend: &B,
        query: Query,
    ) -> Result<(Answer, ReadMeta, ReadMode), Refusal> {
        let jitter = match self.min_index {
            0 => Duration::ZERO,
            _ => backend.jitter(self.wait / 16),
        };
        let max_wait = self.wait + jitter;
        let mut options = ReadOptions { mode: self.mode, min_index: self.min_index, max_wait };
        let first = Request::Read { query: query.clone(), options: options.clone() };
        let (answer, meta) = expect_read(self.ask(backend, first).await?)?;
        if self.max_stale.is_none_or(|limit| meta.last_contact <= limit) {
            return Ok((answer, meta, self.mode));
        }
        options.mode = ReadMode::Default;
        let again = self.ask(backend, Request::Read { query, options }).await?;
        expect_read(again).map(|(answer, meta)| (answer, meta, ReadMode::Default))
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

/// Checked of every request, although few endpoints keep answers.
fn parse_cache_control(headers: &HeaderMap) -> Result<CacheControl, Refusal> {
    let mut control = CacheControl::default();
    let Some(value) = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()) else {
        return Ok(control);
    };
    for part in value.split(',') {
        let (name, number) = part.trim().split_once('=').unwrap_or((part.trim(), ""));
        let seconds = || {
            let parsed = number.parse::<u32>().map(|it| Duration::from_secs(it.into()));
            parsed.map_err(|_| Refusal::bad_request("Invalid Cache-Control header."))
        };
        match name.to_ascii_lowercase().as_str() {
            "max-age" => control.max_age = Some(seconds()?),
            "stale-if-error" => control.stale_if_error = seconds()?,
            "must-revalidate" => control.must_revalidate = true,
            _ => {}
        }
    }
    Ok(control)
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
