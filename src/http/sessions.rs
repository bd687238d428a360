//! `/v1/session/` (spec api 2.6).
//!
//! A session is bound to this agent's node and to its `serfHealth`, unless the body says otherwise. The
//! checks have two names: `NodeChecks`, and `Checks` of before Consul 1.7. Both begin with `serfHealth`, so
//! that a list which is there, and empty, under either name leaves a session without checks of the node.

use axum::Router;
use axum::response::Response;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::agent::{ReadMeta, Reply, Request};
use crate::base::{Duration, go_duration};
use crate::http::Backend;
use crate::http::decode::{Object, has_body};
use crate::http::endpoint::{self, Call};
use crate::http::kv::go_quote;
use crate::http::options::{Options, mismatch, refuse_enterprise, unexpected};
use crate::http::reply::{Refusal, set_read_meta};
use crate::state::{
    Command, CommandResult, Query, RELEASE, Rows, SERF_HEALTH, ServiceCheck, Session,
    SessionCommand, check_session_id,
};

/// Unless it is said.
const LOCK_DELAY: Duration = Duration::from_secs(15);
/// Numbers below this are seconds, others nanoseconds.
const SMALLEST_NANOS: i64 = 1000;

/// The endpoints.
pub(super) fn routes<B: Backend>(backend: &B) -> Router {
    const READ: &[&str] = &["GET"];
    const WRITE: &[&str] = &["PUT"];
    Router::new()
        .route("/v1/session/create", endpoint::route(backend, WRITE, create))
        .route("/v1/session/destroy/", endpoint::route(backend, WRITE, destroy))
        .route("/v1/session/destroy/{*id}", endpoint::route(backend, WRITE, destroy))
        .route("/v1/session/renew/", endpoint::route(backend, WRITE, renew))
        .route("/v1/session/renew/{*id}", endpoint::route(backend, WRITE, renew))
        .route("/v1/session/info/", endpoint::route(backend, READ, info))
        .route("/v1/session/info/{*id}", endpoint::route(backend, READ, info))
        .route("/v1/session/node/", endpoint::route(backend, READ, of_node))
        .route("/v1/session/node/{*node}", endpoint::route(backend, READ, of_node))
        .route("/v1/session/list", endpoint::route(backend, READ, list))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceCheckJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    namespace: &'a str,
}

/// A session as clients know it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SessionJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    node: &'a str,
    /// Nanoseconds.
    lock_delay: u64,
    behavior: &'a str,
    #[serde(rename = "TTL")]
    ttl: &'a str,
    node_checks: &'a [String],
    service_checks: Option<Vec<ServiceCheckJson<'a>>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    checks: &'a [String],
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a Session> for SessionJson<'a> {
    fn from(it: &'a Session) -> Self {
        let checks = it.service_checks.iter();
        let checks =
            checks.map(|check| ServiceCheckJson { id: &check.id, namespace: &check.namespace });
        Self {
            id: &it.id,
            name: &it.name,
            node: &it.node,
            lock_delay: u64::try_from(it.lock_delay.as_nanos()).unwrap_or(u64::MAX),
            behavior: &it.behavior,
            ttl: &it.ttl,
            node_checks: &it.node_checks,
            service_checks: (!it.service_checks.is_empty()).then(|| checks.collect()),
            checks: &it.checks,
            create_index: it.create_index,
            modify_index: it.modify_index,
        }
    }
}

#[derive(Serialize)]
struct IdJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
}

/// PUT `create`. A body that does not say its length is not looked at.
async fn create<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    refuse_enterprise(&call.params, &call.headers)?;
    let options = Options::of_datacenter(&call);
    let mut session = Session {
        node: call.identity().node_name.clone(),
        lock_delay: LOCK_DELAY,
        behavior: RELEASE.to_owned(),
        node_checks: vec![SERF_HEALTH.to_owned()],
        checks: vec![SERF_HEALTH.to_owned()],
        ..Session::default()
    };
    if has_body(&call) {
        let read = match Object::of_body(&mut call, "Session").await {
            Ok(object) => fill(&mut session, &object),
            Err(why) => Err(why),
        };
        read.map_err(|why| Refusal::bad_request(format!("Request decode failed: {why}")))?;
    }
    settle_checks(&mut session);
    let command = Command::Session(SessionCommand::Create(Box::new(session)));
    match options.ask(&call.backend, Request::Write(command)).await? {
        Reply::Written(CommandResult::Id(id)) => Ok(call.json(&IdJson { id: &id })),
        Reply::Written(CommandResult::Error(text)) => Err(Refusal::internal(text)),
        other => Err(mismatch(&other)),
    }
}

/// What the body says takes the place of what a session begins with.
fn fill(session: &mut Session, object: &Object) -> Result<(), String> {
    for (name, into) in [
        ("Name", &mut session.name),
        ("Node", &mut session.node),
        ("Behavior", &mut session.behavior),
        ("TTL", &mut session.ttl),
    ] {
        if object.get(name).is_some() {
            *into = object.text(name)?;
        }
    }
    if let Some(value) = object.get("LockDelay") {
        session.lock_delay = lock_delay(value)?;
    }
    for (name, into) in [("NodeChecks", &mut session.node_checks), ("Checks", &mut session.checks)]
    {
        if object.is_there(name) {
            *into = object.texts(name)?;
        }
    }
    for check in object.objects("ServiceChecks", "ServiceCheck")? {
        let (id, namespace) = (check.text("ID")?, check.text("Namespace")?);
        session.service_checks.push(ServiceCheck { id, namespace });
    }
    Ok(())
}

/// A span in Go's form, or a number. Negative ones close no key.
fn lock_delay(value: &Value) -> Result<Duration, String> {
    let nanos = match value {
        Value::String(text) => go_duration::parse(text)
            .ok_or_else(|| format!("time: invalid duration {}", go_quote(text)))?,
        Value::Number(number) => match number.as_f64().map(|number| number as i64) {
            Some(seconds) if seconds < SMALLEST_NANOS => seconds.saturating_mul(1_000_000_000),
            nanos => nanos.unwrap_or(0),
        },
        other => {
            let kind = crate::http::decode::kind(other);
            let of = "Go struct field Session.LockDelay of type time.Duration";
            return Err(format!("json: cannot unmarshal {kind} into {of}"));
        }
    };
    Ok(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}

/// One list of checks of the node, of the two (Consul's `fixupEmptySessionChecks`).
fn settle_checks(session: &mut Session) {
    if session.checks.is_empty() {
        session.node_checks.clear();
    } else if session.checks == [SERF_HEALTH] || session.node_checks.is_empty() {
        session.checks.clear();
    }
}

/// The id in the path.
fn id_of<B>(call: &Call<B>, before: &str) -> Result<String, Refusal> {
    match call.path.strip_prefix(before).unwrap_or_default() {
        "" => Err(Refusal::bad_request("Missing session")),
        id => Ok(id.to_owned()),
    }
}

/// PUT `destroy/ID`.
async fn destroy<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    refuse_enterprise(&call.params, &call.headers)?;
    let id = id_of(&call, "/v1/session/destroy/")?;
    let request = Request::Write(Command::Session(SessionCommand::Destroy { id }));
    match Options::of_datacenter(&call).ask(&call.backend, request).await? {
        Reply::Written(CommandResult::Flag(_)) => Ok(call.json(&true)),
        Reply::Written(CommandResult::Error(text)) => Err(Refusal::internal(text)),
        other => Err(mismatch(&other)),
    }
}

/// PUT `renew/ID`.
async fn renew<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let options = call.options()?;
    let id = id_of(&call, "/v1/session/renew/")?;
    let request = Request::SessionRenew { id: id.clone() };
    match options.ask(&call.backend, request).await? {
        Reply::SessionRenewed(Some(session)) => Ok(call.json(&[SessionJson::from(&*session)])),
        Reply::SessionRenewed(None) => {
            let text = format!("Session id '{id}' not found");
            Err(Refusal::new(StatusCode::NOT_FOUND, text))
        }
        other => Err(mismatch(&other)),
    }
}

/// GET `info/ID`: the session in a list, or an empty one.
async fn info<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let options = call.options()?;
    let id = id_of(&call, "/v1/session/info/")?;
    match check_session_id(&id) {
        Ok(()) => read(call, &options, Query::Session { id }).await,
        Err(text) => Ok(without_answer(Refusal::internal(text))),
    }
}

/// GET `node/NODE`.
async fn of_node<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let options = call.options()?;
    let node = call.path.strip_prefix("/v1/session/node/").unwrap_or_default().to_owned();
    if node.is_empty() {
        return Err(Refusal::bad_request("Missing node name"));
    }
    read(call, &options, Query::NodeSessions { node }).await
}

/// GET `list`.
async fn list<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let options = call.options()?;
    read(call, &options, Query::Sessions).await
}

async fn read<B: Backend>(
    call: Call<B>,
    options: &Options,
    query: Query,
) -> Result<Response, Refusal> {
    let (answer, meta) = match options.read(&call.backend, query).await {
        Ok(read) => read,
        Err(refusal) => return Ok(without_answer(refusal)),
    };
    let Rows::Sessions(rows) = &answer.rows else { return Err(unexpected(&answer.rows)) };
    let rows: Vec<SessionJson<'_>> = rows.iter().map(SessionJson::from).collect();
    let mut response = call.json(&rows);
    set_read_meta(response.headers_mut(), &meta);
    Ok(response)
}

/// A read that failed has the headers of one that knows nothing.
fn without_answer(refusal: Refusal) -> Response {
    let mut response = refusal.into_response();
    let nothing = ReadMeta { index: 0, known_leader: false, last_contact: Duration::ZERO };
    set_read_meta(response.headers_mut(), &nothing);
    response
}
