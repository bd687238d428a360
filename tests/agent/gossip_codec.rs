//! A codec for tests of the gossip cores: bytes that a reader of this file can make in the head. The real
//! one is `wire`'s, tested there.

use std::fmt::Write as _;

use bytes::Bytes;
use proconsul::gossip::{
    Admission, Candidate, Codec, Coordinate, MemberView, Message, QueryFilter, SerfMessage, Tags,
};

pub const CODEC: Codec = Codec {
    message_len,
    encode_tags,
    decode_tags,
    encode_coordinate,
    decode_coordinate,
    encode_conflict,
};

/// Everybody is let in but those of another datacenter.
#[derive(Debug)]
pub struct OneDatacenter;

impl Admission for OneDatacenter {
    fn admit(&self, candidates: &[Candidate<'_>]) -> Result<(), String> {
        let elsewhere = |it: &&Candidate<'_>| it.tags.get("dc").is_some_and(|dc| dc != "dc1");
        match candidates.iter().filter(|it| !it.left).find(elsewhere) {
            Some(it) => Err(format!("Member '{}' part of wrong datacenter", it.name)),
            None => Ok(()),
        }
    }
}

/// A type byte and ten bytes, or what is of variable length.
fn message_len(message: &Message) -> usize {
    let Message::User(message) = message else { return 40 };
    12 + serf_len(message)
}

fn serf_len(message: &SerfMessage) -> usize {
    match message {
        SerfMessage::Leave { node, .. } | SerfMessage::Join { node, .. } => node.as_str().len(),
        SerfMessage::UserEvent(event) => {
            event.name.len() + event.payload.as_ref().map_or(0, Bytes::len)
        }
        SerfMessage::Query(query) => {
            let filter = |filter: &QueryFilter| match filter {
                QueryFilter::Nodes(nodes) => nodes.iter().map(|node| node.as_str().len()).sum(),
                QueryFilter::Tag { tag, expression } => tag.len() + expression.len(),
                QueryFilter::Unknown(bytes) => bytes.len(),
            };
            let filters: usize = query.filters.iter().flatten().map(filter).sum();
            query.name.len() + query.payload.as_ref().map_or(0, Bytes::len) + filters
        }
        SerfMessage::QueryResponse(answer) => {
            answer.from.as_str().len() + answer.payload.as_ref().map_or(0, Bytes::len)
        }
        SerfMessage::Relay(relay) => 10 + serf_len(&relay.message),
    }
}

fn encode_tags(tags: &Tags) -> Bytes {
    let mut text = String::new();
    for (name, value) in &tags.0 {
        let _ = writeln!(text, "{name}={value}");
    }
    text.into()
}

pub fn decode_tags(bytes: &[u8]) -> Tags {
    let text = String::from_utf8_lossy(bytes);
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.into(), value.into()));
    Tags(text.lines().filter_map(pair).collect())
}

fn encode_coordinate(coordinate: &Coordinate) -> Bytes {
    let rest = [coordinate.error, coordinate.adjustment, coordinate.height];
    coordinate.vec.iter().chain(&rest).flat_map(|part| part.to_bits().to_be_bytes()).collect()
}

fn decode_coordinate(bytes: &[u8]) -> Option<Coordinate> {
    let mut parts: Vec<f64> = bytes
        .chunks(8)
        .map(|chunk| chunk.try_into().map(u64::from_be_bytes).map(f64::from_bits))
        .collect::<Result<_, _>>()
        .ok()?;
    let (height, adjustment, error) = (parts.pop()?, parts.pop()?, parts.pop()?);
    Some(Coordinate { vec: parts, error, adjustment, height })
}

fn encode_conflict(member: Option<&MemberView>) -> Bytes {
    member.map_or_else(|| "nobody".into(), |view| view.addr.to_string()).into()
}
