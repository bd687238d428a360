//! A set of servers in the old form, a messagepack array of addresses: what raft knew before servers
//! had ids and suffrages (spec cluster 5.2). It still travels in InstallSnapshot and `meta.json`.

use bytes::Bytes;

use crate::base::{ServerAddress, ServerId};
use crate::raft::{Configuration, Server, Suffrage};
use crate::wire::msgpack::{DecodeError, Reader, Writer};

/// The addresses of the voters; the old form knows no others.
#[must_use]
pub fn encode_peers(configuration: &Configuration) -> Bytes {
    let voters = configuration.servers.iter().filter(|it| it.suffrage == Suffrage::Voter);
    let addresses: Vec<ServerAddress> = voters.map(|server| server.address.clone()).collect();
    encode_addresses(&addresses)
}

/// Addresses alone: what entries of the `legacy` discipline carry.
#[must_use]
pub fn encode_addresses(addresses: &[ServerAddress]) -> Bytes {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.array(addresses.len());
    for address in addresses {
        writer.str(address.as_str());
    }
    Bytes::from(out)
}

/// Reads what [`encode_addresses`] wrote.
///
/// # Errors
/// Anything else.
pub fn decode_addresses(bytes: &[u8]) -> Result<Vec<ServerAddress>, DecodeError> {
    let mut addresses = Vec::new();
    let mut reader = Reader::new(bytes);
    reader.array(|reader| {
        addresses.push(ServerAddress::from(reader.str()?));
        Ok(())
    })?;
    reader.finish()?;
    Ok(addresses)
}

/// Reads what [`encode_peers`] wrote: voters, each with its address for an id.
///
/// # Errors
/// Anything else.
pub fn decode_peers(bytes: &[u8]) -> Result<Configuration, DecodeError> {
    let voter = |address: ServerAddress| Server {
        suffrage: Suffrage::Voter,
        id: ServerId::from(address.as_str()),
        address,
    };
    let servers = decode_addresses(bytes)?.into_iter().map(voter).collect();
    Ok(Configuration { servers })
}
