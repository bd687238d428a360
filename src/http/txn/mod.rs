//! PUT `/v1/txn` (spec api 2.8): several operations, all or none.
//!
//! ```text
//!   body ── length, JSON, number of operations, values: 413, 400 ──► operations
//!        ── none of them writes: Txn.Read, in the mode that is asked for ─┐
//!        ── else: Txn.Apply, through the log ─────────────────────────────┴─► 200, or 409 with errors
//! ```
//!
//! The limit of 64 operations is that of Consul 1.9 (128 since 1.14).

mod decode;

use axum::Router;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::CONTENT_LENGTH;
use serde::Serialize;

use crate::agent::{ReadMeta, Reply, Request};
use crate::http::Backend;
use crate::http::body::BodyError;
use crate::http::endpoint::{self, Call};
use crate::http::kv::EntryJson;
use crate::http::options::{Options, mismatch, unexpected};
use crate::http::reply::{Refusal, set_reader};
use crate::http::views::{Empty, HealthCheckView, NodeServiceView, NodeView};
use crate::state::{Command, CommandResult, Query, Rows, TxnOp, TxnResponse, TxnResult};

/// Operations in one transaction.
const OPS_MAX: usize = 64;
const LIMIT_URL: &str = "https://www.consul.io/docs/agent/options.html#txn_max_req_len";

pub(super) fn routes<B: Backend>(backend: &B) -> Router {
    Router::new().route("/v1/txn", endpoint::route(backend, &["PUT"], handle))
}

async fn handle<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    let ops = operations(&mut call).await?;
    if ops.iter().all(TxnOp::only_reads) {
        let options = call.options()?.without_blocking();
        let (answer, meta) = options.read(&call.backend, Query::Txn { ops }).await?;
        let Rows::Txn(response) = &answer.rows else { return Err(unexpected(&answer.rows)) };
        let view = ReadJson { outcome: OutcomeJson::of(response), meta: MetaJson::of(&meta) };
        let mut answer = call.json(&view);
        set_reader(answer.headers_mut(), &meta);
        return Ok(with_status(answer, response));
    }
    let options = Options::of_datacenter(&call);
    match options.ask(&call.backend, Request::Write(Command::Txn(ops))).await? {
        Reply::Written(CommandResult::Txn(response)) => {
            Ok(with_status(call.json(&OutcomeJson::of(&response)), &response))
        }
        Reply::Written(CommandResult::Error(text)) => Err(Refusal::internal(text)),
        other => Err(mismatch(&other)),
    }
}

fn with_status(mut answer: Response, response: &TxnResponse) -> Response {
    if !response.errors.is_empty() {
        *answer.status_mut() = StatusCode::CONFLICT;
    }
    answer
}

async fn operations<B: Backend>(call: &mut Call<B>) -> Result<Vec<TxnOp>, Refusal> {
    let too_large = |text| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text);
    let limit = call.identity().txn_max_req_len;
    let bytes = match call.read_body(limit).await {
        Ok(bytes) => bytes,
        Err(BodyError::TooLarge(size)) => {
            let said = call.headers.contains_key(CONTENT_LENGTH);
            let size = if said { format!("({size} bytes)") } else { String::new() };
            return Err(too_large(format!(
                "Request body{size} too large, max size: {limit} bytes. See {LIMIT_URL}."
            )));
        }
        Err(BodyError::Broken(text)) => return Err(unparsed(text)),
    };
    let list = decode::list(&bytes).map_err(unparsed)?;
    if list.len() > OPS_MAX {
        let number = list.len();
        return Err(too_large(format!(
            "Transaction contains too many operations ({number} > {OPS_MAX})"
        )));
    }
    let ops = decode::operations(list, &call.identity().datacenter).map_err(unparsed)?;
    let limit = call.identity().kv_max_value_size;
    for op in &ops {
        let TxnOp::Kv(op) = op else { continue };
        let (key, size) = (&op.entry.key, op.entry.value.len());
        if size as u64 > limit {
            let text = format!("Value for key {key:?} is too large ({size} > {limit} bytes)");
            return Err(too_large(text));
        }
    }
    Ok(ops)
}

fn unparsed(why: String) -> Refusal {
    Refusal::bad_request(format!("Failed to parse body: {why}"))
}

#[derive(Serialize)]
enum ResultJson<'a> {
    #[serde(rename = "KV")]
    Kv(EntryJson<'a>),
    Node(NodeView<'a>),
    Service(Box<NodeServiceView<'a>>),
    Check(Box<HealthCheckView<'a>>),
}

impl<'a> From<&'a TxnResult> for ResultJson<'a> {
    fn from(it: &'a TxnResult) -> Self {
        match it {
            TxnResult::Kv(row) => ResultJson::Kv(row.into()),
            TxnResult::Node(row) => ResultJson::Node(row.into()),
            TxnResult::Service(row) => {
                ResultJson::Service(Box::new(NodeServiceView::new(row, Empty::Null)))
            }
            TxnResult::Check(row) => {
                ResultJson::Check(Box::new(HealthCheckView::new(row, Empty::Null)))
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorJson<'a> {
    op_index: usize,
    what: &'a str,
}

/// Either of the two is null.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OutcomeJson<'a> {
    results: Option<Vec<ResultJson<'a>>>,
    errors: Option<Vec<ErrorJson<'a>>>,
}

impl<'a> OutcomeJson<'a> {
    fn of(response: &'a TxnResponse) -> Self {
        let failed = !response.errors.is_empty();
        let error =
            |it: &'a crate::state::TxnError| ErrorJson { op_index: it.op_index, what: &it.what };
        Self {
            results: (!failed).then(|| response.results.iter().map(ResultJson::from).collect()),
            errors: failed.then(|| response.errors.iter().map(error).collect()),
        }
    }
}

/// What a read says about itself. Its index and its consistency are never told.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetaJson {
    index: u64,
    /// Nanoseconds.
    last_contact: u64,
    known_leader: bool,
    consistency_level: &'static str,
    not_modified: bool,
}

impl MetaJson {
    fn of(meta: &ReadMeta) -> Self {
        Self {
            index: 0,
            last_contact: u64::try_from(meta.last_contact.as_nanos()).unwrap_or(u64::MAX),
            known_leader: meta.known_leader,
            consistency_level: "",
            not_modified: false,
        }
    }
}

#[derive(Serialize)]
struct ReadJson<'a> {
    #[serde(flatten)]
    outcome: OutcomeJson<'a>,
    #[serde(flatten)]
    meta: MetaJson,
}
