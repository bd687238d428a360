//! The structs of `Session.Apply` and `Session.Renew`; those of the other reads of sessions are in
//! `catalog.rs`.
//!
//! ```text
//!   Session.Apply   SessionRequest ─► the id of a session that was created, or an empty text
//!   Session.Renew   SessionSpecificRequest { Datacenter, SessionID, Token, … } ─► IndexedSessions
//! ```
//!
//! Before Consul 1.7 the id was in `Session`; it is taken when there is no other.

use crate::agent::{ReadMeta, Reply, Request};
use crate::base::Duration;
use crate::state::{Answer, Command, CommandResult, Rows};
use crate::wire::catalog::text;
use crate::wire::msgpack::{DecodeError, Reader, Writer};
use crate::wire::session;

use super::{Method, catalog};

/// Writes the body of a request; nothing for one of another kind.
pub(super) fn write_request(request: &Request, datacenter: &str, writer: &mut Writer<'_>) {
    let Request::SessionRenew { id } = request else { return };
    writer.map(3);
    writer.key("Datacenter").str(datacenter);
    writer.key("SessionID").str(id);
    writer.key("Token").str("");
}

/// Reads the body of a request to one of these methods.
pub(super) fn read_request(
    method: Method,
    reader: &mut Reader<'_>,
) -> Result<Request, DecodeError> {
    if method == Method::SessionApply {
        return session::read_command(reader).map(|it| Request::Write(Command::Session(it)));
    }
    let (mut id, mut old_id) = (String::new(), String::new());
    reader.map(|reader, key| {
        match key {
            b"SessionID" => id = text(reader)?,
            b"Session" => old_id = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(Request::SessionRenew { id: if id.is_empty() { old_id } else { id } })
}

/// Whether the reply is one to this method.
pub(super) fn fits(method: Method, reply: &Reply) -> bool {
    matches!(
        (method, reply),
        (Method::SessionApply, Reply::Written(CommandResult::Flag(true) | CommandResult::Id(_)),)
            | (Method::SessionRenew, Reply::SessionRenewed(_))
    )
}

/// Writes the body of an answer; only for a reply that fits its method.
pub(super) fn write_reply(reply: &Reply, writer: &mut Writer<'_>) {
    match reply {
        Reply::Written(CommandResult::Id(id)) => writer.str(id),
        Reply::SessionRenewed(found) => {
            let rows = found.iter().map(|it| (**it).clone()).collect();
            let answer = Answer { index: 0, rows: Rows::Sessions(rows) };
            let meta = ReadMeta { index: 0, known_leader: true, last_contact: Duration::ZERO };
            catalog::write_answer(&answer, &meta, writer);
        }
        _ => writer.str(""),
    }
}

/// Reads the body of an answer to one of these methods.
pub(super) fn read_reply(method: Method, reader: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    if method == Method::SessionApply {
        let id = text(reader)?;
        let none = id.is_empty();
        let result = if none { CommandResult::Flag(true) } else { CommandResult::Id(id) };
        return Ok(Reply::Written(result));
    }
    let (answer, _) = catalog::read_answer(Method::SessionGet, reader)?;
    let Rows::Sessions(rows) = answer.rows else { return Ok(Reply::SessionRenewed(None)) };
    Ok(Reply::SessionRenewed(rows.into_iter().next().map(Box::new)))
}
