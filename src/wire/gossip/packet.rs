//! A datagram and the messages in it (spec cluster 1.4), through all layers:
//!
//! ```text
//!   send     messages ─► compound ─► compress, where shorter ─► CRC ─► encrypt
//!   receive  messages ◄─ compound ◄─ decompress ◄──────────── CRC ◄─ decrypt ◄─ label: none is known
//! ```
//!
//! Receiving is tolerant as memberlist is: a part that cannot be read is a [`Problem`], the others
//! count. It is bounded where memberlist is not, against datagrams that unfold: what all compress
//! messages in one datagram hold together, how deep they nest, how many messages come out. No sender
//! makes a datagram from more than 64 KiB, so the bounds are far from what is ever meant.

use super::crypto::{Seal, open};
use super::{Problem, Reception, compress, kind, message};
use crate::gossip::Message;
use crate::wire::msgpack::{Counter, Reader};

/// One compound counts its parts in a byte.
const PARTS_MAX: usize = 255;
/// All that is decompressed of one datagram, in bytes.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 20;
/// Compound and compress messages inside one another.
const DEPTH_MAX: usize = 8;
/// Messages of one datagram.
const MESSAGES_MAX: usize = 4_096;
/// Problems that are told of one datagram.
const PROBLEMS_MAX: usize = 8;
/// The type byte and the sum.
const CRC_BYTES: usize = 5;

/// How a datagram is packed.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketOptions<'a> {
    /// Compress it when that makes it shorter.
    pub compress: bool,
    /// Add a CRC: the receiver is known to understand it.
    pub checksum: bool,
    /// Encrypt it.
    pub seal: Option<Seal<'a>>,
}

/// Appends a datagram with these messages, in this order, and says how many it holds: a compound takes
/// at most 255, the rest belongs in another datagram with another nonce.
pub fn encode_packet(
    messages: &[Message],
    options: &PacketOptions<'_>,
    out: &mut Vec<u8>,
) -> usize {
    let taken = messages.len().min(PARTS_MAX);
    let start = out.len();
    if options.checksum {
        out.extend([kind::HAS_CRC, 0, 0, 0, 0]);
    }
    let body = out.len();
    match &messages[..taken] {
        [] => {}
        [alone] => message::write(alone, out),
        parts => write_compound(parts, out),
    }
    if options.compress {
        let compressed = compress::compress(&out[body..]);
        if compressed.len() < out.len() - body {
            out.truncate(body);
            out.extend_from_slice(&compressed);
        }
    }
    if options.checksum {
        let sum = crc32fast::hash(&out[body..]);
        out[start + 1..body].copy_from_slice(&sum.to_be_bytes());
    }
    if let Some(seal) = &options.seal {
        seal.apply(out, start, &[]);
    }
    taken
}

/// A part whose length two bytes cannot say is left out: no datagram could carry it.
fn write_compound(parts: &[Message], out: &mut Vec<u8>) {
    let with_length = |part| {
        let mut counter = Counter::default();
        message::write(part, &mut counter);
        u16::try_from(counter.bytes).ok().map(|length| (part, length))
    };
    let parts: Vec<(&Message, u16)> = parts.iter().filter_map(with_length).collect();
    out.push(kind::COMPOUND);
    out.push(parts.len() as u8);
    for (_, length) in &parts {
        out.extend(length.to_be_bytes());
    }
    for (part, _) in parts {
        message::write(part, out);
    }
}

/// What was in a datagram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// The messages, in the order in which it carried them.
    pub messages: Vec<Message>,
    /// What was wrong; at most a few are told.
    pub problems: Vec<Problem>,
}

/// Takes a datagram apart.
#[must_use]
pub fn decode_packet(datagram: &[u8], reception: &Reception<'_>) -> Unpacked {
    let mut unpacking = Unpacking { unpacked: Unpacked::default(), left: DECOMPRESSED_BYTES_MAX };
    if let Err(problem) = unpacking.unlabelled(datagram, reception) {
        unpacking.problem(problem);
    }
    unpacking.unpacked
}

/// The label before a datagram or stream and what follows it; no label when there is none.
///
/// # Errors
/// memberlist's text: cut off (`None`: more bytes would help), or empty.
pub(super) fn split_label(bytes: &[u8]) -> Result<(&[u8], &[u8]), Option<&'static str>> {
    if bytes.first() != Some(&kind::HAS_LABEL) {
        return Ok((&[], bytes));
    }
    match bytes.get(1) {
        None => Err(None),
        Some(0) => Err(Some("label header cannot be empty when present")),
        Some(length) => bytes[2..].split_at_checked(usize::from(*length)).ok_or(None),
    }
}

struct Unpacking {
    unpacked: Unpacked,
    /// Bytes that may still be decompressed.
    left: usize,
}

impl Unpacking {
    fn problem(&mut self, problem: Problem) {
        if self.unpacked.problems.len() < PROBLEMS_MAX {
            self.unpacked.problems.push(problem);
        }
    }

    fn unlabelled(&mut self, datagram: &[u8], reception: &Reception<'_>) -> Result<(), Problem> {
        let (label, rest) = split_label(datagram).map_err(|why| {
            let cut = "cannot decode label; packet has been truncated";
            Problem::memberlist(why.unwrap_or(cut).to_owned())
        })?;
        if !label.is_empty() {
            let label = String::from_utf8_lossy(label);
            let text = format!("discarding packet with unacceptable label {label:?}:");
            return Err(Problem::memberlist(text));
        }
        if reception.keyring.is_empty() {
            return self.checked(rest);
        }
        match open(reception.keyring.keys(), rest, &[]) {
            Ok(plain) => self.checked(&plain),
            Err(_) if !reception.verify_incoming => self.checked(rest),
            Err(why) => Err(Problem::memberlist(format!("Decrypt packet failed: {why}"))),
        }
    }

    fn checked(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        if bytes.len() < CRC_BYTES || bytes[0] != kind::HAS_CRC {
            return self.command(bytes, 0);
        }
        let (head, rest) = bytes.split_at(CRC_BYTES);
        let expected = head[1..].iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        let found = crc32fast::hash(rest);
        if found != expected {
            let text = format!("Got invalid checksum for UDP packet: {found:x}, {expected:x}");
            let problem = Problem::memberlist(text).warning();
            return Err(Problem { names_sender: false, ..problem });
        }
        self.command(rest, 0)
    }

    /// One message, or a layer around some.
    fn command(&mut self, bytes: &[u8], depth: usize) -> Result<(), Problem> {
        let Some((kind, body)) = bytes.split_first() else {
            return Err(Problem::memberlist("missing message type byte".to_owned()));
        };
        if depth > DEPTH_MAX {
            let text = "Compound and compressed messages nest too deep, dropping them";
            return Err(Problem::memberlist(text.to_owned()));
        }
        match *kind {
            kind::COMPOUND => self.compound(body, depth),
            kind::COMPRESS => self.compressed(body, depth),
            _ if self.unpacked.messages.len() >= MESSAGES_MAX => {
                let text = format!("More than {MESSAGES_MAX} messages in a packet, dropping them");
                Err(Problem::memberlist(text))
            }
            kind => {
                let message = message::read(kind, body)?;
                self.unpacked.messages.push(message);
                Ok(())
            }
        }
    }

    fn compound(&mut self, body: &[u8], depth: usize) -> Result<(), Problem> {
        let failed = |why| Problem::memberlist(format!("Failed to decode compound request: {why}"));
        let (count, rest) =
            body.split_first().ok_or_else(|| failed("missing compound length byte"))?;
        let lengths = 2 * usize::from(*count);
        let (lengths, mut parts) =
            rest.split_at_checked(lengths).ok_or_else(|| failed("truncated len slice"))?;
        let lengths =
            lengths.chunks_exact(2).map(|it| usize::from(it[0]) << 8 | usize::from(it[1]));
        for (at, length) in lengths.enumerate() {
            let Some((part, following)) = parts.split_at_checked(length) else {
                let lost = usize::from(*count) - at;
                let text = format!("Compound request had {lost} truncated messages");
                return Err(Problem::memberlist(text).warning());
            };
            parts = following;
            if let Err(problem) = self.command(part, depth + 1) {
                self.problem(problem);
            }
        }
        Ok(())
    }

    fn compressed(&mut self, body: &[u8], depth: usize) -> Result<(), Problem> {
        let failed =
            |why: String| Problem::memberlist(format!("Failed to decompress packet: {why}"));
        let compressed =
            compress::read(&mut Reader::new(body)).map_err(|error| failed(error.to_string()))?;
        let plain = compressed.decompress(self.left).map_err(failed)?;
        self.left -= plain.len();
        self.command(&plain, depth + 1)
    }
}
