//! The set of servers, as a log entry carries it: `{Servers: [{Address, ID, Suffrage}]}`.

use bytes::Bytes;

use crate::base::{ServerAddress, ServerId};
use crate::raft::{Configuration, Server, Suffrage};
use crate::wire::msgpack::{DecodeError, Fault, Reader, Writer};

/// The data of an entry of kind [`EntryKind::Configuration`](crate::raft::EntryKind::Configuration).
#[must_use]
pub fn encode_configuration(configuration: &Configuration) -> Bytes {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.map(1);
    writer.key("Servers").array(configuration.servers.len());
    for server in &configuration.servers {
        writer.map(3);
        writer.key("Address").str(server.address.as_str());
        writer.key("ID").str(server.id.as_str());
        writer.key("Suffrage").uint(match server.suffrage {
            Suffrage::Voter => 0,
            Suffrage::Nonvoter => 1,
            Suffrage::Staging => 2,
        });
    }
    Bytes::from(out)
}

/// Reads what [`encode_configuration`] wrote.
///
/// # Errors
/// Anything else.
pub fn decode_configuration(bytes: &[u8]) -> Result<Configuration, DecodeError> {
    let mut configuration = Configuration::default();
    let mut reader = Reader::new(bytes);
    reader.map(|reader, key| match key {
        b"Servers" => reader.array(|reader| {
            configuration.servers.push(read_server(reader)?);
            Ok(())
        }),
        _ => reader.skip(),
    })?;
    reader.finish()?;
    Ok(configuration)
}

fn read_server(reader: &mut Reader<'_>) -> Result<Server, DecodeError> {
    let mut server = Server {
        suffrage: Suffrage::Voter,
        id: ServerId::from(""),
        address: ServerAddress::from(""),
    };
    reader.map(|reader, key| {
        match key {
            b"Address" => server.address = ServerAddress::from(reader.str()?),
            b"ID" => server.id = ServerId::from(reader.str()?),
            b"Suffrage" => {
                let start = reader.position();
                server.suffrage = match reader.u64()? {
                    0 => Suffrage::Voter,
                    1 => Suffrage::Nonvoter,
                    2 => Suffrage::Staging,
                    other => {
                        let fault = Fault::Value { what: "a suffrage", value: i128::from(other) };
                        return Err(DecodeError { offset: start, fault });
                    }
                };
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(server)
}
