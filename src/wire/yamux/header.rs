//! The twelve bytes before everything.

use super::{StreamId, Violation};

/// What each frame begins with.
pub const HEADER_BYTES: usize = 12;
/// The only version there is.
const VERSION: u8 = 0;

/// Flags of a frame; those not named here mean nothing.
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub mod flag {
    pub const SYN: u16 = 1;
    pub const ACK: u16 = 2;
    pub const FIN: u16 = 4;
    pub const RST: u16 = 8;
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// So many bytes of a stream follow.
    Data,
    /// So many more bytes may be sent on a stream.
    WindowUpdate,
    /// To be answered with the same number (SYN), or the answer (ACK).
    Ping,
    /// No more streams, for this reason.
    GoAway,
}

/// A frame without what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// See [`flag`].
    pub flags: u16,
    /// The stream; 0 where it is about the session.
    pub stream: StreamId,
    /// Bytes that follow, bytes granted, the number of a ping, or a reason.
    pub length: u32,
}

impl Header {
    /// Whether it has one of these flags.
    #[must_use]
    pub fn has(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [VERSION; HEADER_BYTES];
        bytes[1] = self.kind as u8;
        bytes[2..4].copy_from_slice(&self.flags.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.stream.to_be_bytes());
        bytes[8..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// Another version, or a kind that does not exist.
    pub fn decode(bytes: [u8; HEADER_BYTES]) -> Result<Self, Violation> {
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = bytes;
        if version != VERSION {
            return Err(Violation::Version(version));
        }
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::WindowUpdate,
            2 => Kind::Ping,
            3 => Kind::GoAway,
            other => return Err(Violation::Kind(other)),
        };
        Ok(Self {
            kind,
            flags: u16::from_be_bytes([f0, f1]),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }
}
