//! The seal of a snapshot file: what its bytes stand for, and their checksum.
//!
//! ```text
//!   TERM-INDEX.snap     state (size bytes) │ seal │ length of the seal u32
//!
//!   seal   magic 8 │ format u32 │ crc u32 │ index u64 │ term u64 │ size u64 │ crc of the state u32
//!          │ configuration index u64 │ encoded configuration              little endian
//! ```
//!
//! It stands at the end, since what a snapshot stands for is known only when its bytes are all there.
//! Its own checksum (CRC-32C, with the field itself zero) covers the length behind it too.

use super::record::MAX_NUMBER;
use crate::base::{LogIndex, Term};
use crate::raft::SnapshotMeta;
use crate::wire::raft::{decode_configuration, encode_configuration};

const MAGIC: [u8; 8] = *b"PCRAFTSN";
const FORMAT: u32 = 1;
/// Bytes of a seal without the configuration, and without the length behind it.
const FIXED: usize = 52;
/// Bytes of the length at the end of the file.
pub(super) const LENGTH: usize = 4;
/// A longer one is damage; a cluster of a thousand servers has a tenth of it.
pub(super) const SEAL_MAX: usize = 1 << 20;

/// What a snapshot file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    pub meta: SnapshotMeta,
    /// CRC-32C of the state.
    pub crc: u32,
}

/// What is wrong with a seal: at which byte of it, and what.
pub(super) type Fault = (usize, String);

impl Seal {
    /// The seal and its length.
    pub fn encode(&self) -> Vec<u8> {
        let configuration = encode_configuration(&self.meta.configuration);
        let mut bytes = Vec::with_capacity(FIXED + configuration.len() + LENGTH);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.meta.index.0.to_le_bytes());
        bytes.extend(self.meta.term.0.to_le_bytes());
        bytes.extend(self.meta.size.to_le_bytes());
        bytes.extend(self.crc.to_le_bytes());
        bytes.extend(self.meta.configuration_index.0.to_le_bytes());
        bytes.extend_from_slice(&configuration);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes.extend(length.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// How long the seal before this length is, without the length.
    pub fn length(last: [u8; LENGTH], file: u64) -> Result<usize, String> {
        let length = u32::from_le_bytes(last) as usize;
        if (FIXED..=SEAL_MAX).contains(&length) && (length + LENGTH) as u64 <= file {
            return Ok(length);
        }
        Err(format!("expected the length of the seal, found {length} in a file of {file} bytes"))
    }

    /// Reads a seal back, with the length behind it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let number = |from: usize| {
            let field = bytes.get(from..from + 8).unwrap_or_default();
            field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        if bytes.len() < FIXED + LENGTH || bytes[..8] != MAGIC {
            return Err((0, "expected the seal of a snapshot".to_owned()));
        }
        let mut unsealed = bytes.to_vec();
        unsealed[12..16].fill(0);
        if bytes[12..16] != crc32c::crc32c(&unsealed).to_le_bytes() {
            return Err((12, "expected a seal whose checksum matches".to_owned()));
        }
        let format = number(8) as u32;
        if format != FORMAT {
            return Err((8, format!("expected format {FORMAT}, found format {format}")));
        }
        if [16, 24, 32, 44].into_iter().any(|from| number(from) > MAX_NUMBER) {
            return Err((16, "expected numbers that a log can reach".to_owned()));
        }
        let configuration = decode_configuration(&bytes[FIXED..bytes.len() - LENGTH])
            .map_err(|error| (FIXED, format!("expected a set of servers, found {error}")))?;
        let meta = SnapshotMeta {
            index: LogIndex(number(16)),
            term: Term(number(24)),
            size: number(32),
            configuration_index: LogIndex(number(44)),
            configuration,
        };
        Ok(Self { meta, crc: number(40) as u32 })
    }
}

/// The file of a snapshot: names sort as snapshots do.
pub(super) fn file_name(index: LogIndex, term: Term) -> String {
    format!("{:020}-{:020}.snap", term.0, index.0)
}

/// Term and index in a file's name; none for the name of anything else.
pub(super) fn parse_name(name: &str) -> Option<(Term, LogIndex)> {
    let (term, index) = name.strip_suffix(".snap")?.split_once('-')?;
    let number = |digits: &str| {
        let all = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| digits.parse().ok()).flatten()
    };
    Some((Term(number(term)?), LogIndex(number(index)?)))
}
