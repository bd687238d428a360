//! `/v1/agent/members`, `join`, `leave` and `force-leave` (spec api 2.2): this agent's own pools, never
//! forwarded.

use std::collections::BTreeMap;

use axum::response::Response;
use hyper::StatusCode;
use serde::Serialize;

use crate::agent::{Reply, Request};
use crate::gossip::MemberView;
use crate::http::Backend;
use crate::http::endpoint::Call;
use crate::http::options::mismatch;
use crate::http::reply::{self, Refusal, listed};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MemberJson<'a> {
    name: &'a str,
    addr: String,
    port: u16,
    tags: BTreeMap<&'a str, &'a str>,
    /// 0 none, 1 alive, 2 leaving, 3 left, 4 failed.
    status: u8,
    protocol_min: u8,
    protocol_max: u8,
    protocol_cur: u8,
    delegate_min: u8,
    delegate_max: u8,
    delegate_cur: u8,
}

impl<'a> From<&'a MemberView> for MemberJson<'a> {
    fn from(member: &'a MemberView) -> Self {
        let [protocol_min, protocol_max, protocol_cur, delegate_min, delegate_max, delegate_cur] =
            member.versions.unwrap_or_default();
        Self {
            name: member.name.as_str(),
            addr: member.addr.ip().to_string(),
            port: member.addr.port(),
            tags: member.tags.0.iter().map(|(tag, value)| (tag.as_str(), value.as_str())).collect(),
            status: member.status.number(),
            protocol_min,
            protocol_max,
            protocol_cur,
            delegate_min,
            delegate_max,
            delegate_cur,
        }
    }
}

/// GET `members`.
pub(super) async fn members<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let wan = !call.params.get("wan").is_empty();
    let segment = call.params.get("segment");
    if wan && !segment.is_empty() && segment != "_all" {
        return Err(Refusal::bad_request("Cannot provide a segment with wan=true"));
    }
    // As the edition of Consul that has no segments.
    if !segment.is_empty() && segment != "_all" {
        let text = "Network segments are not supported in this version of Consul";
        return Err(Refusal::internal(text));
    }
    match call.backend.ask(Request::Members { wan }).await? {
        Reply::Members(None) => Ok(call.json(&())),
        Reply::Members(Some(members)) => {
            let members: Vec<MemberJson<'_>> = members.iter().map(MemberJson::from).collect();
            Ok(call.json(&members))
        }
        other => Err(mismatch(&other)),
    }
}

/// What of a path comes after this.
fn rest_of<'a, B>(call: &'a Call<B>, prefix: &str) -> &'a str {
    call.path.strip_prefix(prefix).unwrap_or_default()
}

/// PUT `join/ADDRESS`.
pub(super) async fn join<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let wan = call.params.has("wan");
    let address = rest_of(&call, "/v1/agent/join/");
    match call.backend.join(vec![address.to_owned()], wan).await {
        Ok(report) if report.contacted > 0 => Ok(reply::empty(StatusCode::OK)),
        Ok(report) => Err(Refusal::internal(listed(&report.errors))),
        Err(failure) => Err(failure.into()),
    }
}

/// PUT `leave`: the agent stops after the answer.
pub(super) async fn leave<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    match call.backend.ask(Request::Leave).await? {
        Reply::Done => Ok(reply::empty(StatusCode::OK)),
        other => Err(mismatch(&other)),
    }
}

/// PUT `force-leave/NODE`.
pub(super) async fn force_leave<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let node = rest_of(&call, "/v1/agent/force-leave/").to_owned();
    let (prune, wan) = (call.params.has("prune"), call.params.has("wan"));
    match call.backend.ask(Request::ForceLeave { node, prune, wan }).await? {
        Reply::Done => Ok(reply::empty(StatusCode::OK)),
        other => Err(mismatch(&other)),
    }
}
