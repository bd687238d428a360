//! What members say over streams (spec cluster 1.6): a push/pull, the ping of last resort and its ack, a
//! message of the layer above, an error.
//!
//! ```text
//!   label: none is known │ 10 length │ sealed ─┐      9 {Algo, Buf} ─┐
//!                                              └─► or plain ─────────┴─► or plain: type byte │ map │ …
//! ```
//!
//! A stream carries one message each way. [`StreamDecoder`] is fed with all bytes that have come so far
//! and says when they are a whole message; it remembers how far it has looked, so that a long push/pull
//! that comes in pieces is walked over once. Lengths are judged when they are announced, before
//! anything is kept for them.
//!
//! Deliberately not here: deadlines, and whether there are too many push/pulls at once.

use std::fmt;

use bytes::Bytes;

use super::crypto::{OpenError, Seal, open};
use super::packet::split_label;
use super::{MAX_NODES, Problem, Reception, compress, kind, message, serf, state};
use crate::gossip::{Ping, PushPull, SequenceNumber, SerfMessage};
use crate::wire::msgpack::{Counter, DecodeError, Fault, Reader, Writer};

/// An encrypted frame, the state of the layer above and a user message may be as long, in bytes.
const STATE_BYTES_MAX: usize = 20 << 20;
/// What is decompressed, and a whole message that is not, in bytes.
const MESSAGE_BYTES_MAX: usize = 2 * STATE_BYTES_MAX;
/// No map in a stream is longer; one that goes on is not waited for.
const MAP_BYTES_MAX: usize = 64 << 10;
/// The type byte of an encrypted frame and its length.
const FRAME_BYTES: usize = 5;

/// One message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamMessage {
    /// Are you there? Answered with an ack on the same stream.
    Ping(Ping),
    /// I am.
    Ack {
        /// Of the ping.
        sequence: SequenceNumber,
        /// None in practice.
        payload: Option<Bytes>,
    },
    /// All that one side knows; answered with all that the other knows.
    PushPull(PushPull),
    /// For the layer above; not answered.
    User(SerfMessage),
    /// Why the other side does not answer.
    Error(String),
}

/// How a message is packed.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamOptions<'a> {
    /// Compress it, also where that makes it longer.
    pub compress: bool,
    /// Encrypt it.
    pub seal: Option<Seal<'a>>,
}

/// Appends a message as it goes over a stream.
pub fn encode_stream(message: &StreamMessage, options: &StreamOptions<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    write(message, out);
    if options.compress {
        let compressed = compress::compress(&out[start..]);
        out.truncate(start);
        out.extend_from_slice(&compressed);
    }
    if let Some(seal) = &options.seal {
        let sealed = u32::try_from(seal.version.sealed_len(out.len() - start));
        crate::invariant!(sealed.is_ok(), "a state is far below 4 GiB");
        let mut frame = [kind::ENCRYPT, 0, 0, 0, 0];
        frame[1..].copy_from_slice(&sealed.unwrap_or_default().to_be_bytes());
        seal.apply(out, start, &frame);
        out.splice(start..start, frame);
    }
}

fn write(message: &StreamMessage, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    match message {
        StreamMessage::Ping(ping) => message::write_ping(ping, &mut writer),
        StreamMessage::Ack { sequence, payload } => {
            message::write_ack(*sequence, payload.as_deref(), &mut writer);
        }
        StreamMessage::PushPull(push_pull) => state::write(push_pull, out),
        StreamMessage::User(user) => {
            let mut counter = Counter::default();
            serf::write(user, &mut counter);
            writer.byte(kind::USER);
            writer.map(1);
            writer.key("UserMsgLen").uint(counter.bytes as u64);
            serf::write(user, out);
        }
        StreamMessage::Error(text) => {
            writer.byte(kind::ERROR);
            writer.map(1);
            writer.key("Error").str(text);
        }
    }
}

/// Why a stream is lost, in memberlist's words where it has some; what is answered with
/// [`StreamMessage::Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The label is of another pool.
    Label(String),
    /// A label of no length.
    EmptyLabel(&'static str),
    /// It is encrypted and there is no key.
    NotConfigured,
    /// There is a key and it is not encrypted.
    NotEncrypted,
    /// It is encrypted and cannot be opened.
    Open(OpenError),
    /// More bytes are announced than are taken.
    TooLarge(usize),
    /// More members are announced than are taken.
    TooManyNodes(usize),
    /// It cannot be decompressed.
    Decompress(String),
    /// A message that does not come over streams.
    Kind(u8),
    /// The message cannot be read.
    Decode(DecodeError),
    /// A user message whose content cannot be read.
    User(Problem),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Label(label) => {
                write!(f, "discarding stream with unacceptable label {label:?}")
            }
            StreamError::EmptyLabel(why) => f.write_str(why),
            StreamError::NotConfigured => {
                f.write_str("Remote state is encrypted and encryption is not configured")
            }
            StreamError::NotEncrypted => {
                f.write_str("Encryption is configured but remote state is not encrypted")
            }
            StreamError::Open(why) => why.fmt(f),
            StreamError::TooLarge(bytes) => {
                write!(f, "remote node state is larger than limit ({bytes})")
            }
            StreamError::TooManyNodes(nodes) => {
                write!(f, "remote node state has more members than limit ({nodes})")
            }
            StreamError::Decompress(why) => f.write_str(why),
            StreamError::Kind(kind) => write!(f, "received invalid msgType ({kind})"),
            StreamError::Decode(why) => why.fmt(f),
            StreamError::User(problem) => problem.fmt(f),
        }
    }
}

impl std::error::Error for StreamError {}

/// A message that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedStream {
    /// What it says.
    pub message: StreamMessage,
    /// How many bytes it took.
    pub used: usize,
    /// What was wrong and did not stop it.
    pub problems: Vec<Problem>,
}

/// Waits for one message.
#[derive(Clone, Debug, Default)]
pub struct StreamDecoder {
    /// How far a push/pull that is not encrypted has been walked over.
    walked: Option<Walk>,
}

#[derive(Clone, Copy, Debug)]
struct Walk {
    /// The end of the last member that is whole.
    at: usize,
    nodes_left: usize,
    user_state_len: usize,
}

impl StreamDecoder {
    /// For a new stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The message, or none while it is not whole. `bytes` are all that the stream has brought: those
    /// of the last call, and more.
    ///
    /// # Errors
    /// Why there will be none: the stream is to be closed.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        reception: &Reception<'_>,
    ) -> Result<Option<ReceivedStream>, StreamError> {
        match split_label(bytes) {
            Ok(([], _)) => {}
            Ok((label, _)) => {
                return Err(StreamError::Label(String::from_utf8_lossy(label).into_owned()));
            }
            Err(None) => return Ok(None),
            Err(Some(why)) => return Err(StreamError::EmptyLabel(why)),
        }
        let Some(kind) = bytes.first() else { return Ok(None) };
        if *kind == kind::ENCRYPT {
            return encrypted(bytes, reception);
        }
        if !reception.keyring.is_empty() && reception.verify_incoming {
            return Err(StreamError::NotEncrypted);
        }
        let whole = match *kind {
            kind::COMPRESS => compressed_end(bytes)?,
            _ => self.plain_end(bytes)?,
        };
        match whole {
            Some(end) => {
                decompressed(&bytes[..end]).map(|it| Some(ReceivedStream { used: end, ..it }))
            }
            None if bytes.len() > MESSAGE_BYTES_MAX => Err(StreamError::TooLarge(bytes.len())),
            None => Ok(None),
        }
    }

    /// Where a message that is neither encrypted nor compressed ends.
    fn plain_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, StreamError> {
        match bytes[0] {
            kind::PING | kind::ACK | kind::ERROR => map_end(bytes, 1),
            kind::USER => {
                let mut reader = Reader::new(&bytes[1..]);
                let length = read_user_header(&mut reader);
                let Some(length) = started(length, &reader, bytes.len() - 1)? else {
                    return Ok(None);
                };
                announced(length)?;
                Ok(Some(1 + reader.position() + length).filter(|end| *end <= bytes.len()))
            }
            kind::PUSH_PULL => self.push_pull_end(bytes),
            other => Err(StreamError::Kind(other)),
        }
    }

    fn push_pull_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, StreamError> {
        let mut walk = match self.walked {
            Some(walk) => walk,
            None => {
                let mut reader = Reader::new(&bytes[1..]);
                let header = state::read_header(&mut reader);
                let Some(header) = started(header, &reader, bytes.len() - 1)? else {
                    return Ok(None);
                };
                sane(&header)?;
                Walk {
                    at: 1 + reader.position(),
                    nodes_left: header.nodes,
                    user_state_len: header.user_state_len,
                }
            }
        };
        let mut whole = true;
        while whole && walk.nodes_left > 0 {
            match map_end(bytes, walk.at)? {
                Some(end) => {
                    walk.at = end;
                    walk.nodes_left -= 1;
                }
                None => whole = false,
            }
        }
        self.walked = Some(walk);
        let end = walk.at + walk.user_state_len;
        Ok(Some(end).filter(|end| whole && *end <= bytes.len()))
    }
}

/// Where the value that begins there ends.
fn map_end(bytes: &[u8], start: usize) -> Result<Option<usize>, StreamError> {
    let mut reader = Reader::new(&bytes[start..]);
    let skipped = reader.skip();
    let skipped = started(skipped, &reader, bytes.len() - start)?;
    Ok(skipped.map(|()| start + reader.position()))
}

/// None for a map that may become whole: it is not longer than any may be.
fn started<T>(
    read: Result<T, DecodeError>,
    reader: &Reader<'_>,
    there: usize,
) -> Result<Option<T>, StreamError> {
    match read {
        Ok(_) if reader.position() > MAP_BYTES_MAX => Err(StreamError::TooLarge(reader.position())),
        Ok(value) => Ok(Some(value)),
        Err(error) if error.fault != Fault::Incomplete => Err(StreamError::Decode(error)),
        Err(_) if there > MAP_BYTES_MAX => Err(StreamError::TooLarge(there)),
        Err(_) => Ok(None),
    }
}

fn announced(length: usize) -> Result<(), StreamError> {
    if length <= STATE_BYTES_MAX { Ok(()) } else { Err(StreamError::TooLarge(length)) }
}

fn sane(header: &state::Header) -> Result<(), StreamError> {
    if header.nodes > MAX_NODES {
        return Err(StreamError::TooManyNodes(header.nodes));
    }
    announced(header.user_state_len)
}

fn read_user_header(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let mut length = 0;
    reader.map(|reader, key| {
        match key {
            b"UserMsgLen" => length = reader.narrow("a length")?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(length)
}

/// Where a compress message ends; its length stands before its content.
fn compressed_end(bytes: &[u8]) -> Result<Option<usize>, StreamError> {
    let mut reader = Reader::new(&bytes[1..]);
    match compress::read(&mut reader) {
        Ok(_) => Ok(Some(1 + reader.position())),
        Err(error) if error.fault == Fault::Incomplete => Ok(None),
        Err(error) => Err(StreamError::Decode(error)),
    }
}

fn encrypted(
    bytes: &[u8],
    reception: &Reception<'_>,
) -> Result<Option<ReceivedStream>, StreamError> {
    if reception.keyring.is_empty() {
        return Err(StreamError::NotConfigured);
    }
    let Some((frame, rest)) = bytes.split_at_checked(FRAME_BYTES) else { return Ok(None) };
    let length = frame[1..].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    announced(length)?;
    let Some(sealed) = rest.get(..length) else { return Ok(None) };
    let plain = open(reception.keyring.keys(), sealed, frame).map_err(StreamError::Open)?;
    let received = decompressed(&plain)?;
    Ok(Some(ReceivedStream { used: FRAME_BYTES + length, ..received }))
}

/// A whole message, compressed or not.
fn decompressed(bytes: &[u8]) -> Result<ReceivedStream, StreamError> {
    if bytes.first() != Some(&kind::COMPRESS) {
        return read(bytes);
    }
    let compressed = compress::read(&mut Reader::new(&bytes[1..])).map_err(StreamError::Decode)?;
    let plain = compressed.decompress(MESSAGE_BYTES_MAX).map_err(StreamError::Decompress)?;
    read(&plain)
}

/// A whole message without layers.
fn read(bytes: &[u8]) -> Result<ReceivedStream, StreamError> {
    let mut reader = Reader::new(bytes);
    let mut problems = Vec::new();
    let message = match reader.byte().map_err(StreamError::Decode)? {
        kind::PING => message::read_ping(&mut reader).map(StreamMessage::Ping),
        kind::ACK => message::read_ack(&mut reader)
            .map(|(sequence, payload)| StreamMessage::Ack { sequence, payload }),
        kind::ERROR => read_error(&mut reader).map(StreamMessage::Error),
        kind::PUSH_PULL => {
            let header = state::read_header(&mut reader).map_err(StreamError::Decode)?;
            sane(&header)?;
            state::read(&header, &mut reader, &mut problems).map(StreamMessage::PushPull)
        }
        kind::USER => {
            let length = read_user_header(&mut reader).map_err(StreamError::Decode)?;
            announced(length)?;
            let content = reader.rest().get(..length);
            let content =
                content.ok_or_else(|| StreamError::Decode(reader.error(Fault::Incomplete)))?;
            Ok(StreamMessage::User(serf::read(content).map_err(StreamError::User)?))
        }
        other => return Err(StreamError::Kind(other)),
    };
    Ok(ReceivedStream {
        message: message.map_err(StreamError::Decode)?,
        used: bytes.len(),
        problems,
    })
}

fn read_error(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let mut text = String::new();
    reader.map(|reader, key| {
        match key {
            b"Error" => text = String::from_utf8_lossy(reader.bytes()?).into_owned(),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(text)
}
