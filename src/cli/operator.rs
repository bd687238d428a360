//! `operator raft`: the set of servers, its repair, and leadership (spec api 5.20, in the shape of 1.9;
//! `transfer-leader` is a newer release's).

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use crate::base::runtime::Runtime;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::cli::{Terminal, table};
use crate::config::flags::{Flag, Takes};

pub(super) const GROUP: Command = Command {
    path: "operator",
    synopsis: "Provides cluster-level tools for Consul operators",
    usage: "Usage: consul operator <subcommand> [options]\n\n  \
        Provides cluster-level tools for Consul operators, such as interacting with\n  \
        the Raft subsystem.",
    flags: &[],
    reach: Reach::Nobody,
};

pub(super) const RAFT: Command = Command {
    path: "operator raft",
    synopsis: "Provides cluster-level tools for Consul operators",
    usage: "Usage: consul operator raft <subcommand> [options]\n\n  \
        Shows and repairs the set of Raft servers. A wrong repair can cost the cluster\n  \
        its quorum, and with it what is stored.",
    flags: &[],
    reach: Reach::Nobody,
};

pub(super) const LIST_PEERS: Command = Command {
    path: "operator raft list-peers",
    synopsis: "Display the current Raft peer configuration",
    usage: "Usage: consul operator raft list-peers [options]\n\n  \
        Displays the current Raft peer configuration.",
    flags: &[],
    reach: Reach::Servers,
};

pub(super) const REMOVE_PEER: Command = Command {
    path: "operator raft remove-peer",
    synopsis: "Remove a Consul server from the Raft configuration",
    usage: "Usage: consul operator raft remove-peer [options]\n\n  \
        Removes the server with the given -address or -id from the Raft configuration. Meant\n  \
        for a server that is gone for good and is still listed.",
    flags: REMOVE_FLAGS,
    reach: Reach::Servers,
};

pub(super) const TRANSFER_LEADER: Command = Command {
    path: "operator raft transfer-leader",
    synopsis: "Transfer raft leadership to another node",
    usage: "Usage: consul operator raft transfer-leader [options]\n\n  \
        Makes another server the leader. The one that leads now goes on as a follower.",
    flags: TRANSFER_FLAGS,
    reach: Reach::Servers,
};

const REMOVE_FLAGS: &[Flag] = &[
    Flag { name: "address", takes: Takes::Text, help: "The address to remove, as ip:port." },
    Flag { name: "id", takes: Takes::Text, help: "The ID to remove." },
];

const TRANSFER_FLAGS: &[Flag] = &[Flag {
    name: "id",
    takes: Takes::Text,
    help: "The ID of the server that is to lead. Without it the leader chooses.",
}];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    #[serde(default)]
    servers: Option<Vec<Server>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    #[serde(rename = "ID")]
    id: String,
    node: String,
    address: String,
    leader: bool,
    #[serde(default)]
    protocol_version: String,
    voter: bool,
}

impl Server {
    fn row(self) -> Vec<String> {
        let state = if self.leader { "leader" } else { "follower" };
        // Servers from before Consul 0.8 do not say.
        let protocol = match self.protocol_version.as_str() {
            "" => "<=1".to_owned(),
            _ => self.protocol_version,
        };
        vec![self.node, self.id, self.address, state.to_owned(), self.voter.to_string(), protocol]
    }
}

pub(super) async fn list_peers<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = LIST_PEERS.parse(args, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let asked = api.call(Method::GET, "/v1/operator/raft/configuration", &[], Bytes::new()).await;
    let read = asked.and_then(|answer| {
        serde_json::from_slice(&answer.body).map_err(|error| format!("malformed answer: {error}"))
    });
    let configuration: Configuration = read.map_err(|text| {
        terminal.fail(format!("Error getting peers: Failed to retrieve raft configuration: {text}"))
    })?;
    let head = ["Node", "ID", "Address", "State", "Voter", "RaftProtocol"].map(str::to_owned);
    let rows = configuration.servers.unwrap_or_default().into_iter().map(Server::row);
    let rows: Vec<Vec<String>> = std::iter::once(head.to_vec()).chain(rows).collect();
    terminal.out(table(&rows));
    Ok(())
}

pub(super) async fn remove_peer<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = REMOVE_PEER.parse(args, terminal)?;
    let given = |name| flags.text(name).filter(|text| !text.is_empty());
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let removed = match (given("address"), given("id")) {
        (Some(_), Some(_)) => Err("cannot give both an address and id".to_owned()),
        (None, None) => Err("an address or id is required for the peer to remove".to_owned()),
        (Some(address), None) => remove(&api, "address", address).await,
        (None, Some(id)) => remove(&api, "id", id).await,
    };
    match removed {
        Ok(text) => {
            terminal.line(text);
            Ok(())
        }
        Err(text) => Err(terminal.fail(format!("Error removing peer: {text}"))),
    }
}

async fn remove<R: Runtime>(
    api: &Api<'_, R>,
    kind: &'static str,
    name: &str,
) -> Result<String, String> {
    api.call(Method::DELETE, "/v1/operator/raft/peer", &[(kind, name)], Bytes::new()).await?;
    Ok(format!("Removed peer with {kind} {name:?}"))
}

pub(super) async fn transfer_leader<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = TRANSFER_LEADER.parse(args, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let id = flags.text("id").unwrap_or_default();
    let params: &[(&str, &str)] = if id.is_empty() { &[] } else { &[("id", id)] };
    match api.call(Method::POST, "/v1/operator/raft/transfer-leader", params, Bytes::new()).await {
        Ok(_) => {
            terminal.line("Success");
            Ok(())
        }
        Err(text) => Err(terminal
            .fail(format!("Error transfering leadership: Failed to transfer leadership {text}"))),
    }
}
