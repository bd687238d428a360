//! What the reads of catalog, health and UI have in common: parameters, the read itself, filters, order
//! by distance, headers (spec api 1.6, 1.7).
//!
//! ```text
//!   Ask::of(call) ─► read ─► Found { rows, .. } ─► sort by ?near ─► ?filter ─► JSON ─► headers
//! ```
//!
//! Distances are computed by the agent that was asked, from the coordinates in the store: a second
//! question, asked only with `?near`. A node without a coordinate is further than any other; nodes as far
//! as one another stay in the order in which they came.

use std::collections::BTreeMap;

use axum::Router;
use axum::response::Response;
use serde::Serialize;

use crate::agent::{Failure, ReadMeta, ReadMode, coordinate_of};
use crate::base::Duration;
use crate::gossip::Coordinate;
use crate::http::answer_cache::AnswerCache;
use crate::http::endpoint::Call;
use crate::http::filter::{Filter, Schema, Selectable};
use crate::http::options::{Options, unexpected};
use crate::http::params::Params;
use crate::http::reply::{self, Refusal, set_cached, set_consistency, set_read_meta};
use crate::http::{Backend, catalog, health, json, ui};
use crate::state::{NodeCoordinate, NodeMeta, Query, Rows};

/// The routes of catalog, health and UI.
pub(super) fn routes<B: Backend>(backend: &B) -> Router {
    let cache = AnswerCache::default();
    Router::new()
        .merge(catalog::routes(backend, &cache))
        .merge(health::routes(backend, &cache))
        .merge(ui::routes(backend))
}

/// A read that is understood.
pub(super) struct Ask<B> {
    backend: B,
    path: String,
    pub(super) params: Params,
    options: Options,
    /// `node-meta`.
    pub(super) meta: NodeMeta,
    /// `near`; empty: nobody.
    near: String,
}

/// What a read found.
pub(super) struct Found {
    pub(super) rows: Rows,
    pub(super) meta: ReadMeta,
    pub(super) mode: ReadMode,
    /// It came through the cache: a hit of this age, or a miss.
    cached: Option<Option<Duration>>,
}

impl<B: Backend> Ask<B> {
    pub(super) fn of(call: Call<B>) -> Result<Self, Refusal> {
        let identity = call.identity();
        let near = match call.params.get("near") {
            "_agent" => identity.node_name.clone(),
            other => other.to_owned(),
        };
        let pairs = call.params.all("node-meta");
        let pair = |text: &str| {
            let (name, value) = text.split_once(':').unwrap_or((text, ""));
            (name.to_owned(), value.to_owned())
        };
        let meta = pairs.map(pair).collect();
        let options = call.options()?.of_discovery(&call.params, identity);
        let Call { backend, path, params, .. } = call;
        Ok(Self { backend, path, params, options, meta, near })
    }

    /// What stands behind the prefix in the path.
    pub(super) fn named(&self, prefix: &str, missing: &str) -> Result<String, Refusal> {
        match self.path.strip_prefix(prefix).unwrap_or_default() {
            "" => Err(Refusal::bad_request(missing)),
            name => Ok(name.to_owned()),
        }
    }

    /// `filter`, of rows of this kind; none when it is not said.
    pub(super) fn filter(&self, schema: Schema) -> Result<Option<Filter>, Refusal> {
        match self.params.get("filter") {
            "" => Ok(None),
            text => {
                let parsed = Filter::parse(text, schema);
                parsed.map(Some).map_err(|error| Refusal::internal(error.to_string()).of_read())
            }
        }
    }

    /// Asks. Failures come with the headers of a read.
    pub(super) async fn read(&self, query: Query) -> Result<Found, Refusal> {
        let answered = self.options.read_in_mode(&self.backend, query).await;
        let (answer, meta, mode) = answered.map_err(Refusal::of_read)?;
        Ok(Found { rows: answer.rows, meta, mode, cached: None })
    }

    /// Asks; without a leader, any server.
    pub(super) async fn read_from_anyone(&self, query: Query) -> Result<Found, Refusal> {
        let no_leader = Failure::NoLeader.to_string();
        match self.read(query.clone()).await {
            Err(refusal) if refusal.says(&no_leader) => {
                let options = self.options.clone().of_any_server();
                let answered = options.read_in_mode(&self.backend, query).await;
                let (answer, meta, mode) = answered.map_err(Refusal::of_read)?;
                Ok(Found { rows: answer.rows, meta, mode, cached: None })
            }
            other => other,
        }
    }

    /// Asks through the cache, if the request wants that.
    pub(super) async fn read_cached(
        &self,
        query: Query,
        cache: &AnswerCache,
    ) -> Result<Found, Refusal> {
        let Some(control) = self.options.cache_control() else { return self.read(query).await };
        let key = format!("{} {query:?}", self.options.asked());
        let options = self.options.clone().of_any_server();
        let answered = options.read(&self.backend, query).await;
        let now = self.backend.now();
        let mode = self.options.mode();
        let (answer, meta, age) = match answered {
            Ok((answer, meta)) => {
                let was_there = cache.keep(key, &answer, &meta, now);
                let hit = was_there && !control.must_revalidate;
                (answer, meta, hit.then_some(Duration::ZERO))
            }
            Err(refusal) => match cache.old(&key, control, now) {
                Some((answer, meta, age)) => (answer, meta, Some(age)),
                None => return Err(refusal.of_read()),
            },
        };
        Ok(Found { rows: answer.rows, meta, mode, cached: Some(age) })
    }

    /// Puts rows in the order of their distance, when that is asked for; `node`: where a row is.
    pub(super) async fn sort<T>(
        &self,
        rows: &mut [T],
        node: impl Fn(&T) -> &str,
    ) -> Result<(), Refusal> {
        if self.near.is_empty() {
            return Ok(());
        }
        let options = self.options.clone().without_blocking();
        let answered = options.read(&self.backend, Query::Coordinates).await;
        let coordinates = match answered.map_err(Refusal::of_read)?.0.rows {
            Rows::Coordinates(rows) => by_node(&rows),
            other => return Err(unexpected(&other)),
        };
        let Some(here) = coordinates.get(&self.near.to_lowercase()) else { return Ok(()) };
        rows.sort_by_cached_key(|row| {
            let there = coordinates.get(&node(row).to_lowercase());
            Distance(there.map_or(f64::INFINITY, |there| here.distance_s(there)))
        });
        Ok(())
    }

    /// The answer, with the headers of catalog and health.
    pub(super) fn answer<T: Serialize + ?Sized>(&self, value: &T, found: &Found) -> Response {
        let mut response = self.plain_answer(value, found);
        set_consistency(response.headers_mut(), found.mode);
        response
    }

    /// The answer, with the headers of any read.
    pub(super) fn plain_answer<T: Serialize + ?Sized>(&self, value: &T, found: &Found) -> Response {
        let indented = self.backend.identity().dev || self.params.has("pretty");
        let mut response = reply::json(json::encode(value, indented));
        found.set_headers(&mut response);
        response
    }
}

impl Found {
    pub(super) fn set_headers(&self, response: &mut Response) {
        set_read_meta(response.headers_mut(), &self.meta);
        if let Some(age) = self.cached {
            set_cached(response.headers_mut(), age);
        }
    }

    /// Headers of catalog and health, for an answer that is a refusal all the same.
    pub(super) fn set_all_headers(&self, response: &mut Response) {
        self.set_headers(response);
        set_consistency(response.headers_mut(), self.mode);
    }
}

/// Keeps the rows that are asked for.
pub(super) fn keep<T: Selectable>(rows: &mut Vec<T>, filter: Option<&Filter>) {
    if let Some(filter) = filter {
        rows.retain(|row| filter.keeps(row));
    }
}

/// Seconds, in an order that has a place for all of them.
#[derive(Clone, Copy, PartialEq)]
struct Distance(f64);

impl Eq for Distance {}

impl PartialOrd for Distance {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Distance {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Coordinates by names in lower case, as nodes are compared.
fn by_node(rows: &[NodeCoordinate]) -> BTreeMap<String, Coordinate> {
    rows.iter().map(|it| (it.node.to_lowercase(), coordinate_of(it))).collect()
}
