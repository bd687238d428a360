//! A resolver: asks an agent's DNS port as programs do, and writes the answer down as `dig` shows it.
//!
//! ```text
//!   datagram ──►   lost? again, the same question, up to three times
//!            ◄──   cut short (TC)? the same by TCP, and that is the answer
//! ```
//!
//! An answer counts when it comes from the address that was asked, bears the number of the question and
//! repeats it; anything else is dropped, as a careful resolver does. Nothing is kept: each question is
//! asked of the agent, whatever the TTL of the last answer was.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proconsul::base::Duration;
use proconsul::base::runtime::{Datagrams, Runtime, read_exact, write_all};

use crate::cluster::operations::Answered;
use crate::fabric::SimRuntime;
use crate::history::lookup::{By, Question, Resolved};
use crate::history::operation::{Outcome, Output};
use crate::history::request::Reply;

/// How many datagrams one question is worth.
const TRIES: u32 = 3;
/// What we say, by EDNS, that we take: what resolvers have said since the flag day of 2020.
const EDNS_BYTES: u16 = 1232;
/// The largest message.
const MOST_BYTES: usize = 65_535;

/// Asks the agent at this address, and waits for at most `patience`. `id`: the question's number.
///
/// # Errors
/// Why there is no answer.
pub async fn resolve(
    runtime: &SimRuntime,
    to: SocketAddr,
    question: &Question,
    id: u16,
    patience: Duration,
) -> io::Result<Resolved> {
    let deadline = runtime.now() + patience;
    let message = message(question, id)?;
    let by = question.by;
    if by != By::Tcp {
        let found = by_datagram(runtime, to, &message, patience).await?;
        if !found.metadata.truncation {
            return Ok(resolved(&found, by));
        }
    }
    let left = deadline.since(runtime.now());
    let found = runtime.timeout(left, by_stream(runtime, to, &message)).await??;
    Ok(resolved(&found, By::Tcp))
}

/// What a lookup came to, for the history.
#[must_use]
pub fn judge(result: &io::Result<Resolved>) -> Answered {
    match result {
        Ok(found) if matches!(found.rcode.as_str(), "NOERROR" | "NXDOMAIN") => Answered {
            outcome: Outcome::Ok,
            output: Some(Output::Of(Reply::Resolved(found.clone()))),
            index: None,
            error: None,
        },
        // An answer that says nothing of the name.
        Ok(found) => Answered::without(Outcome::Fail, found.rcode.clone()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Answered::without(Outcome::Unknown, "timed out".to_owned())
        }
        Err(error) => Answered::without(Outcome::Fail, error.to_string()),
    }
}

fn message(question: &Question, id: u16) -> io::Result<Message> {
    let wrong = |why: &dyn ToString| io::Error::new(io::ErrorKind::InvalidInput, why.to_string());
    let name = Name::from_ascii(&question.name).map_err(|why| wrong(&why))?;
    let kind = RecordType::from_str(&question.kind).map_err(|why| wrong(&why))?;
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, kind));
    if question.by == By::Edns {
        let mut edns = Edns::new();
        edns.set_max_payload(EDNS_BYTES);
        message.set_edns(edns);
    }
    Ok(message)
}

fn bytes(message: &Message) -> io::Result<Vec<u8>> {
    message.to_vec().map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why.to_string()))
}

/// Whether this is the answer to that.
fn answers(found: &Message, asked: &Message) -> bool {
    let same = |one: &Query, other: &Query| {
        one.query_type() == other.query_type()
            && one.name().to_string().eq_ignore_ascii_case(&other.name().to_string())
    };
    let question = match (&found.queries[..], &asked.queries[..]) {
        ([one], [other]) => same(one, other),
        _ => false,
    };
    question
        && found.metadata.id == asked.metadata.id
        && found.metadata.message_type == MessageType::Response
}

async fn by_datagram(
    runtime: &SimRuntime,
    to: SocketAddr,
    asked: &Message,
    patience: Duration,
) -> io::Result<Message> {
    let socket = runtime.bind_datagrams((Ipv4Addr::UNSPECIFIED, 0).into()).await?;
    let query = bytes(asked)?;
    for _ in 0..TRIES {
        socket.send_to(&query, to).await?;
        let answer = async {
            let mut buffer = vec![0; MOST_BYTES];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await?;
                let Ok(found) = Message::from_vec(&buffer[..length]) else { continue };
                if from == to && answers(&found, asked) {
                    return Ok(found);
                }
            }
        };
        match runtime.timeout(patience / TRIES, answer).await {
            Ok(found) => return found,
            Err(_) => continue,
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

async fn by_stream(runtime: &SimRuntime, to: SocketAddr, asked: &Message) -> io::Result<Message> {
    let mut plain = asked.clone();
    plain.edns = None;
    let query = bytes(&plain)?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut stream = runtime.connect(to).await?;
    write_all(&mut stream, &[&length.to_be_bytes()[..], &query].concat()).await?;
    let mut length = [0; 2];
    read_exact(&mut stream, &mut length).await?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    read_exact(&mut stream, &mut answer).await?;
    let wrong = |why: &dyn ToString| io::Error::new(io::ErrorKind::InvalidData, why.to_string());
    let found = Message::from_vec(&answer).map_err(|why| wrong(&why))?;
    match answers(&found, asked) {
        true => Ok(found),
        false => Err(wrong(&"the answer is to another question")),
    }
}

fn resolved(message: &Message, by: By) -> Resolved {
    let lines = |records: &[Record]| records.iter().map(line).collect();
    Resolved {
        rcode: rcode(message.metadata.response_code),
        by,
        truncated: message.metadata.truncation,
        answers: lines(&message.answers),
        authority: lines(&message.authorities),
        additional: lines(&message.additionals),
    }
}

/// A record as `dig` writes it.
fn line(record: &Record) -> String {
    match &record.data {
        RData::TXT(text) => {
            let parts = text.txt_data.iter().map(|part| {
                let part = String::from_utf8_lossy(part);
                format!("\"{}\"", part.replace('\\', "\\\\").replace('"', "\\\""))
            });
            let parts: Vec<String> = parts.collect();
            format!("{} {} IN TXT {}", record.name, record.ttl, parts.join(" "))
        }
        _ => record.to_string(),
    }
}

fn rcode(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}
