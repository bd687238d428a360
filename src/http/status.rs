//! `/v1/status/` (spec api 2.9): this server's view, never forwarded.

use axum::response::Response;

use crate::agent::{Reply, Request};
use crate::http::Backend;
use crate::http::endpoint::Call;
use crate::http::options::mismatch;
use crate::http::reply::Refusal;
use crate::raft::Profile;

/// The leader's address, or an empty string.
pub(super) async fn leader<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    match call.options()?.ask(&call.backend, Request::StatusLeader).await? {
        Reply::Leader(leader) => {
            Ok(call.json(leader.as_ref().map_or("", |address| address.as_str())))
        }
        other => Err(mismatch(&other)),
    }
}

/// The addresses of the Raft configuration, in its order. Without any, 0.5.2 says `null` (Go's nil list).
pub(super) async fn peers<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    match call.options()?.ask(&call.backend, Request::StatusPeers).await? {
        Reply::Peers(peers) if peers.is_empty() && call.identity().profile == Profile::Legacy => {
            Ok(call.json(&()))
        }
        Reply::Peers(peers) => {
            let peers: Vec<&str> = peers.iter().map(|address| address.as_str()).collect();
            Ok(call.json(&peers))
        }
        other => Err(mismatch(&other)),
    }
}
