//! What an answer leaves out so that it reaches the asker (spec api 4.7).
//!
//! ```text
//!   datagram without EDNS   3 answers (udp_answer_limit), 504 bytes without compression
//!   datagram, EDNS size S   S - 8 bytes
//!   connection              4096 answers, 1024 of SRV; 65523 bytes
//! ```
//!
//! Answers go from the end; the additional section then keeps what the SRV answers that stay point to. One
//! answer always stays; if it alone is too long, what is not an answer goes, and then it goes, too.
//! The asker is told of it with `enable_truncate` only, as in Consul.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::dns::message::{MAX_MESSAGE, Question, encode, len};
use crate::dns::{Settings, Transport};

/// A datagram has so much for those who do not say.
const PLAIN_DATAGRAM: usize = 512;
/// And at most.
const DATAGRAM_MAX: usize = 65_467;
/// Of a datagram, its own head.
const DATAGRAM_HEAD: usize = 8;
/// On a connection: all of a message but some room that the DNS library wants.
const STREAM_MAX: usize = 65_523;
/// An answer that is so much too long is not shortened one by one.
const FAR: usize = 100;

/// Cuts an answer to its limit.
pub(super) fn trim(settings: &Settings, over: Transport, question: &Question, reply: &mut Message) {
    let before = reply.answers.len();
    let compress = !settings.config.disable_compression;
    let (most, limit, compress) = match over {
        Transport::Udp => {
            let size = question.edns_size().map_or(PLAIN_DATAGRAM, usize::from);
            let size = size.clamp(PLAIN_DATAGRAM, DATAGRAM_MAX);
            // 0.5.2 knows no EDNS: it always limits.
            let limits = size == PLAIN_DATAGRAM || settings.is_legacy();
            let few = Some(settings.udp_answers()).filter(|few| limits && before > *few);
            // Whoever passes the answer on may write names in full.
            (few, (size, DATAGRAM_HEAD), compress && few.is_none())
        }
        Transport::Tcp => {
            let most = if question.kind() == RecordType::SRV { 1024 } else { 4096 };
            (Some(most).filter(|most| before > *most), (STREAM_MAX, 0), compress)
        }
    };
    if most.is_none() && !is_too_long(reply, limit, compress) {
        return;
    }
    let targets = Targets::of(reply);
    if let Some(most) = most {
        targets.keep(reply, most);
    }
    shorten(reply, &targets, limit, compress);
    if reply.answers.len() < before && settings.config.enable_truncate {
        reply.metadata.truncation = true;
    }
}

/// Longer than `limit` less `slack`, and not because of one answer alone.
fn is_too_long(reply: &Message, (limit, slack): (usize, usize), compress: bool) -> bool {
    reply.answers.len() > 1 && len(reply, compress) > limit - slack
}

/// Drops answers from the end until it is no longer too long; one stays. Step by step as Consul does it, so
/// that as many stay.
fn shorten(reply: &mut Message, targets: &Targets, limit: (usize, usize), compress: bool) {
    while is_too_long(reply, limit, compress) {
        reply.authorities.clear();
        let kept = match len(reply, compress).saturating_sub(limit.0) {
            0..=FAR => reply.answers.len() - 1,
            _ => most_that_fit(reply, targets, limit.0, compress).max(1),
        };
        targets.keep(reply, kept);
    }
}

/// How many answers fit with what they point to.
fn most_that_fit(reply: &Message, targets: &Targets, limit: usize, compress: bool) -> usize {
    let mut tried = reply.clone();
    let (mut fits, mut too_many) = (0, reply.answers.len() + 1);
    while too_many - fits > 1 {
        let half = fits + (too_many - fits) / 2;
        tried.answers.clear();
        tried.answers.extend_from_slice(&reply.answers[..half]);
        targets.sync(&mut tried);
        if len(&tried, compress) <= limit {
            fits = half;
        } else {
            too_many = half;
        }
    }
    fits
}

/// The bytes of an answer, which fits the asker whatever it holds: what is not an answer goes first. That
/// answers went is always said here: else nobody would ask again over a connection.
pub(super) fn fitting(
    settings: &Settings,
    over: Transport,
    question: &Question,
    mut reply: Message,
) -> Option<Vec<u8>> {
    let limit = match over {
        Transport::Udp => question.edns_size().map_or(PLAIN_DATAGRAM, usize::from),
        Transport::Tcp => MAX_MESSAGE,
    };
    let limit = limit.max(PLAIN_DATAGRAM);
    let compress = !settings.config.disable_compression;
    loop {
        let bytes = encode(&reply, compress).filter(|bytes| bytes.len() <= limit);
        if bytes.is_some() {
            return bytes;
        }
        if !reply.additionals.is_empty() {
            reply.additionals.clear();
        } else if !reply.authorities.is_empty() {
            reply.authorities.clear();
        } else if reply.answers.is_empty() {
            return None;
        } else {
            let half = reply.answers.len() / 2;
            reply.answers.truncate(half);
            reply.metadata.truncation = true;
        }
    }
}

/// The first additional record of each name, in lower case.
struct Targets(BTreeMap<Name, Record>);

impl Targets {
    fn of(reply: &Message) -> Self {
        let mut first = BTreeMap::new();
        for record in &reply.additionals {
            first.entry(record.name.to_lowercase()).or_insert_with(|| record.clone());
        }
        Self(first)
    }

    /// Keeps so many answers and what they point to.
    fn keep(&self, reply: &mut Message, answers: usize) {
        reply.answers.truncate(answers);
        self.sync(reply);
    }

    /// Leaves in the additional section what the answers point to, and what that points to.
    fn sync(&self, reply: &mut Message) {
        let mut needed: Vec<Record> = Vec::new();
        let mut seen = BTreeSet::new();
        for answer in &reply.answers {
            let RData::SRV(srv) = &answer.data else { continue };
            let mut next = Some(srv.target.to_lowercase());
            while let Some(target) = next.take().filter(|target| seen.insert(target.clone())) {
                if let Some(record) = self.0.get(&target) {
                    needed.push(record.clone());
                    if let RData::CNAME(cname) = &record.data {
                        next = Some(cname.0.to_lowercase());
                    }
                }
            }
        }
        reply.additionals = needed;
    }
}
