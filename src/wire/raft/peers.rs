//! A set of servers in the old form, a messagepack array of addresses: what raft knew before servers
//! had ids and suffrages (spec cluster 5.2). It still travels in InstallSnapshot and `meta.json`.

use bytes::Bytes;

use crate::base::{ServerAddress, ServerId};
use crate::raft::{Configuration, Server, Suffrage};
use crate::wire::msgpack::{DecodeError, Reader, Writer};

/// The addresses of the voters; the old form knows no others.
#[must_use]
pub fn encode_peers(configuration: &Configuration) -> Bytes {
    let voters = || configuration.servers.iter().filter(|it| it.suffrage == Suffrage::Voter);
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.array(voters().count());
    for server in voters() {
        writer.str(server.address.as_str());
    }
    Bytes::from(out)
}

/// Reads what [`encode_peers`] wrote: voters, each with its address for an id.
///
/// # Errors
/// Anything else.
pub fn decode_peers(bytes: &[u8]) -> Result<Configuration, DecodeError> {
    let mut servers = Vec::new();
    let mut reader = Reader::new(bytes);
    reader.array(|reader| {
        let address = reader.str()?;
        servers.push(Server {
            suffrage: Suffrage::Voter,
            id: ServerId::from(address),
            address: ServerAddress::from(address),
        });
        Ok(())
    })?;
    reader.finish()?;
    Ok(Configuration { servers })
}
