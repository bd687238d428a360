//! The structs of `Operator.*` and `Status.*`.
//!
//! ```text
//!   DCSpecificRequest          { AllowStale, Datacenter, Token }
//!   RaftConfigurationResponse  { Index, Servers: [{ Address, ID, Leader, Node, ProtocolVersion, Voter }] }
//!   RaftRemovePeerRequest      { Address, Datacenter, ID, Token }
//!   RaftTransferLeaderRequest  { Datacenter, ID, Token }
//!   ServerStats                { LastContact, LastIndex, LastTerm }
//! ```
//!
//! The health of the servers has a struct of its own: `health.rs`. A peer is named by the method, and by the field that goes with it. Consul 1.9.8 cannot hand
//! leadership over on request, so the last struct and its method are our own; an empty `ID` lets the
//! leader choose.

use crate::agent::autopilot::ServerStats;
use crate::agent::{PeerName, RaftServer, Reply, Request};
use crate::base::{LogIndex, ServerAddress, ServerId, Term, go_duration};
use crate::wire::catalog::write_list;
use crate::wire::msgpack::{DecodeError, Fault, Reader, Writer};

use super::{Method, health};

/// The contact of a server that never heard from a leader.
const NEVER: &str = "never";

/// Writes the body of a request; nothing for one of another kind.
pub(super) fn write_request(request: &Request, datacenter: &str, writer: &mut Writer<'_>) {
    match request {
        Request::RaftConfiguration { stale } => write_plain(*stale, datacenter, writer),
        Request::StatusLeader
        | Request::StatusPeers
        | Request::StatusRaftStats
        | Request::AutopilotHealth => {
            write_plain(false, datacenter, writer);
        }
        Request::RemoveRaftPeer(name) => {
            let (id, address) = match name {
                PeerName::Id(id) => (id.as_str(), ""),
                PeerName::Address(address) => ("", address.as_str()),
            };
            writer.map(4);
            writer.key("Address").str(address);
            writer.key("Datacenter").str(datacenter);
            writer.key("ID").str(id);
            writer.key("Token").str("");
        }
        Request::TransferLeadership { to } => {
            writer.map(3);
            writer.key("Datacenter").str(datacenter);
            writer.key("ID").str(to.as_ref().map_or("", ServerId::as_str));
            writer.key("Token").str("");
        }
        _ => {}
    }
}

fn write_plain(stale: bool, datacenter: &str, writer: &mut Writer<'_>) {
    writer.map(3);
    writer.key("AllowStale").bool(stale);
    writer.key("Datacenter").str(datacenter);
    writer.key("Token").str("");
}

/// Reads the body of a request to one of these methods.
pub(super) fn read_request(
    method: Method,
    reader: &mut Reader<'_>,
) -> Result<Request, DecodeError> {
    let (mut stale, mut id, mut address) = (false, "", "");
    reader.map(|reader, key| {
        match key {
            b"AllowStale" => stale = reader.bool()?,
            b"Address" => address = reader.str()?,
            b"ID" => id = reader.str()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(match method {
        Method::RaftGetConfiguration => Request::RaftConfiguration { stale },
        Method::RaftRemovePeerById => Request::RemoveRaftPeer(PeerName::Id(id.into())),
        Method::RaftRemovePeerByAddress => {
            Request::RemoveRaftPeer(PeerName::Address(address.into()))
        }
        Method::RaftTransferLeader => {
            let to = Some(ServerId::from(id)).filter(|_| !id.is_empty());
            Request::TransferLeadership { to }
        }
        Method::OperatorServerHealth => Request::AutopilotHealth,
        Method::StatusLeader => Request::StatusLeader,
        Method::StatusPeers => Request::StatusPeers,
        Method::StatusRaftStats => Request::StatusRaftStats,
        _ => {
            return Err(reader.error(Fault::Unsupported("a method of another kind")));
        }
    })
}

/// Writes the body of an answer; an empty struct where there is nothing to say.
pub(super) fn write_reply(method: Method, reply: &Reply, writer: &mut Writer<'_>) {
    match (method, reply) {
        (Method::RaftGetConfiguration, Reply::RaftConfiguration { servers, index }) => {
            writer.map(2);
            writer.key("Index").uint(index.0);
            write_list(writer.key("Servers"), servers, write_server);
        }
        (Method::OperatorServerHealth, Reply::AutopilotHealth(report)) => {
            health::write_report(report, writer);
        }
        (Method::StatusLeader, Reply::Leader(leader)) => {
            writer.str(leader.as_ref().map_or("", ServerAddress::as_str));
        }
        (Method::StatusPeers, Reply::Peers(peers)) => {
            write_list(writer, peers, |peer, writer| writer.str(peer.as_str()));
        }
        (Method::StatusRaftStats, Reply::RaftStats(stats)) => {
            let contact = stats.last_contact.map_or(NEVER.to_owned(), go_duration::format);
            writer.map(3);
            writer.key("LastContact").str(&contact);
            writer.key("LastIndex").uint(stats.last_index.0);
            writer.key("LastTerm").uint(stats.last_term.0);
        }
        _ => writer.map(0),
    }
}

/// Whether the reply is one to this method.
pub(super) fn fits(method: Method, reply: &Reply) -> bool {
    matches!(
        (method, reply),
        (Method::RaftGetConfiguration, Reply::RaftConfiguration { .. })
            | (Method::OperatorServerHealth, Reply::AutopilotHealth(_))
            | (Method::StatusLeader, Reply::Leader(_))
            | (Method::StatusPeers, Reply::Peers(_))
            | (Method::StatusRaftStats, Reply::RaftStats(_))
            | (
                Method::RaftRemovePeerById
                    | Method::RaftRemovePeerByAddress
                    | Method::RaftTransferLeader,
                Reply::Done
            )
    )
}

fn write_server(server: &RaftServer, writer: &mut Writer<'_>) {
    writer.map(6);
    writer.key("Address").str(server.address.as_str());
    writer.key("ID").str(server.id.as_str());
    writer.key("Leader").bool(server.leader);
    writer.key("Node").str(&server.node);
    writer.key("ProtocolVersion").str(&server.protocol_version);
    writer.key("Voter").bool(server.voter);
}

/// Reads the body of an answer to one of these methods.
pub(super) fn read_reply(method: Method, reader: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    Ok(match method {
        Method::RaftGetConfiguration => {
            let (mut servers, mut index) = (Vec::new(), LogIndex(0));
            reader.map(|reader, key| match key {
                b"Index" => reader.u64().map(|number| index = LogIndex(number)),
                b"Servers" => reader.array(|reader| {
                    servers.push(read_server(reader)?);
                    Ok(())
                }),
                _ => reader.skip(),
            })?;
            Reply::RaftConfiguration { servers, index }
        }
        Method::OperatorServerHealth => Reply::AutopilotHealth(health::read_report(reader)?),
        Method::StatusLeader => {
            let leader = reader.str()?;
            Reply::Leader(Some(ServerAddress::from(leader)).filter(|_| !leader.is_empty()))
        }
        Method::StatusPeers => {
            let mut peers = Vec::new();
            reader.array(|reader| {
                peers.push(ServerAddress::from(reader.str()?));
                Ok(())
            })?;
            Reply::Peers(peers)
        }
        Method::StatusRaftStats => {
            let (mut last_contact, mut last_index, mut last_term) = (None, LogIndex(0), Term(0));
            reader.map(|reader, key| match key {
                b"LastContact" => {
                    last_contact = go_duration::parse_span(reader.str()?);
                    Ok(())
                }
                b"LastIndex" => reader.u64().map(|number| last_index = LogIndex(number)),
                b"LastTerm" => reader.u64().map(|number| last_term = Term(number)),
                _ => reader.skip(),
            })?;
            Reply::RaftStats(ServerStats { last_contact, last_term, last_index })
        }
        Method::RaftRemovePeerById
        | Method::RaftRemovePeerByAddress
        | Method::RaftTransferLeader => {
            reader.skip()?;
            Reply::Done
        }
        _ => {
            return Err(reader.error(Fault::Unsupported("a method of another kind")));
        }
    })
}

fn read_server(reader: &mut Reader<'_>) -> Result<RaftServer, DecodeError> {
    let mut server = RaftServer {
        id: "".into(),
        node: String::new(),
        address: "".into(),
        leader: false,
        protocol_version: String::new(),
        voter: false,
    };
    reader.map(|reader, key| {
        match key {
            b"Address" => server.address = reader.str()?.into(),
            b"ID" => server.id = reader.str()?.into(),
            b"Leader" => server.leader = reader.bool()?,
            b"Node" => server.node = reader.str()?.to_owned(),
            b"ProtocolVersion" => server.protocol_version = reader.str()?.to_owned(),
            b"Voter" => server.voter = reader.bool()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(server)
}
