//! `/v1/operator/raft/` (spec api 2.11): the set of servers, its repair, and leadership.
//!
//! No `X-Consul-*` headers of consistency here: Consul sends none (spec api 1.6). `LastIndex` of newer
//! releases is not in 1.9.8, and `transfer-leader` is a newer release's endpoint in its form.

use axum::response::Response;
use hyper::StatusCode;
use serde::Serialize;

use crate::agent::{PeerName, RaftServer, ReadMode, Reply, Request};
use crate::base::ServerId;
use crate::http::Backend;
use crate::http::endpoint::Call;
use crate::http::options::{Options, mismatch};
use crate::http::reply::{self, Refusal};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigurationJson<'a> {
    servers: Vec<ServerJson<'a>>,
    index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServerJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    leader: bool,
    protocol_version: &'a str,
    voter: bool,
}

impl<'a> From<&'a RaftServer> for ServerJson<'a> {
    fn from(server: &'a RaftServer) -> Self {
        Self {
            id: server.id.as_str(),
            node: &server.node,
            address: server.address.as_str(),
            leader: server.leader,
            protocol_version: &server.protocol_version,
            voter: server.voter,
        }
    }
}

/// GET `configuration`.
pub(super) async fn configuration<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let options = call.options()?;
    let stale = options.mode() == ReadMode::Stale;
    match options.ask(&call.backend, Request::RaftConfiguration { stale }).await? {
        Reply::RaftConfiguration { servers, index } => {
            let servers = servers.iter().map(ServerJson::from).collect();
            Ok(call.json(&ConfigurationJson { servers, index: index.0 }))
        }
        other => Err(mismatch(&other)),
    }
}

/// DELETE `peer`.
pub(super) async fn remove_peer<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let (id, address) = (call.params.get("id"), call.params.get("address"));
    let name = match (call.params.has("id"), call.params.has("address")) {
        (true, false) => PeerName::Id(id.into()),
        (false, true) => PeerName::Address(address.into()),
        (false, false) => {
            return Err(Refusal::bad_request(
                "Bad request: Must specify either ?id with the server's ID or ?address with IP:port \
                 of peer to remove",
            ));
        }
        (true, true) => {
            let text = "Bad request: Must specify only one of ?id or ?address";
            return Err(Refusal::bad_request(text));
        }
    };
    match Options::of_datacenter(&call).ask(&call.backend, Request::RemoveRaftPeer(name)).await? {
        Reply::Done => Ok(reply::empty(StatusCode::OK)),
        other => Err(mismatch(&other)),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TransferJson {
    success: bool,
}

/// POST `transfer-leader`.
pub(super) async fn transfer_leader<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let id = call.params.get("id");
    let to = Some(ServerId::from(id)).filter(|_| !id.is_empty());
    let asked = call.backend.ask(Request::TransferLeadership { to }).await;
    match asked {
        Ok(Reply::Done) => Ok(call.json(&TransferJson { success: true })),
        Ok(other) => Err(mismatch(&other)),
        Err(failure) => {
            let text = format!("Failed to transfer Leader: {failure}");
            Err(Refusal::new(StatusCode::NOT_FOUND, text))
        }
    }
}
