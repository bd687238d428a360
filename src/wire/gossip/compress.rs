//! memberlist's compression: LZW as Go's `compress/lzw` writes it (least significant bit first, literals
//! of 8 bits, codes up to 12), in a map with the number of the algorithm (spec cluster 1.4). The code that
//! clears the table comes first, as Go writes it since 1.17; Consul 1.8.7 was built before and begins
//! without. Both are read.

use weezl::{BitOrder, LzwStatus, decode::Decoder, encode::Encoder};

use super::kind;
use crate::wire::msgpack::{DecodeError, Reader, Writer};

/// The number of LZW, the only algorithm.
const LZW: u8 = 0;
const LITERAL_BITS: u8 = 8;
/// Decompressed so many bytes at a time, so that memory follows what is really there.
const CHUNK_BYTES: usize = 16 << 10;

/// A compress message, its type byte included.
pub(super) fn compress(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(plain.len() + 16);
    let done = Encoder::new(BitOrder::Lsb, LITERAL_BITS).into_vec(&mut packed).encode_all(plain);
    crate::invariant!(done.status.is_ok(), "every byte is a literal of eight bits");
    let mut out = Vec::with_capacity(packed.len() + 16);
    let mut writer = Writer::new(&mut out);
    writer.byte(kind::COMPRESS);
    writer.map(2);
    writer.key("Algo").uint(LZW.into());
    writer.key("Buf").bytes(&packed);
    out
}

/// The fields of a compress message, behind its type byte.
pub(super) struct Compressed<'a> {
    algorithm: u8,
    buf: &'a [u8],
}

/// Reads them; [`Fault::Incomplete`](crate::wire::msgpack::Fault::Incomplete) while they are not whole.
pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<Compressed<'a>, DecodeError> {
    let mut compressed = Compressed { algorithm: LZW, buf: &[] };
    reader.map(|reader, key| {
        match key {
            b"Algo" => compressed.algorithm = reader.narrow("an algorithm")?,
            b"Buf" => compressed.buf = reader.bytes()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(compressed)
}

impl Compressed<'_> {
    /// What is inside; an error is Go's text.
    pub(super) fn decompress(&self, limit: usize) -> Result<Vec<u8>, String> {
        if self.algorithm != LZW {
            return Err(format!("cannot decompress unknown algorithm {}", self.algorithm));
        }
        let mut decoder = Decoder::new(BitOrder::Lsb, LITERAL_BITS);
        let mut plain = Vec::new();
        let mut rest = self.buf;
        loop {
            let filled = plain.len();
            plain.resize(filled + CHUNK_BYTES.min(limit + 1 - filled), 0);
            let step = decoder.decode_bytes(rest, &mut plain[filled..]);
            plain.truncate(filled + step.consumed_out);
            rest = &rest[step.consumed_in..];
            if plain.len() > limit {
                return Err(format!("decompressed payload is larger than limit ({limit})"));
            }
            match step.status {
                Ok(LzwStatus::Done) => return Ok(plain),
                Ok(_) if step.consumed_in == 0 && step.consumed_out == 0 => {
                    return Err("unexpected EOF".to_owned());
                }
                Ok(_) => {}
                Err(_) => return Err("lzw: invalid code".to_owned()),
            }
        }
    }
}
