//! Taking messages off a stream: when it is worth trying to decode what has come so far.
//!
//! A decoder copies what it reads and starts at the front each time. With a message of 32 MB (64
//! entries of half a megabyte) that arrives in pieces of 16 KB, trying after each piece would copy 32
//! GB. So after a first try that found too little, the values are only walked over, which costs a few
//! steps for each of them however long they are, until they are all there.

use std::io;

use crate::base::runtime::{self, ByteReader};
use crate::wire::msgpack::{Fault, MAX_MESSAGE, Reader};

/// How much is read at once.
pub(super) const READ_CHUNK_BYTES: usize = 16 * 1024;
/// A buffer that one large message made larger than this is given back.
const KEPT_BUFFER: usize = 1 << 20;

/// What has been received and not yet decoded.
#[derive(Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// The front was tried and is not all there.
    partial: bool,
    /// What [`Frames::read`] reads into.
    chunk: Vec<u8>,
}

impl Frames {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes have come after the last message.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has come after the last message.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What has come after the last message: the beginning of something that is none.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Takes up to so many bytes off the front that belong to no message.
    pub fn take_raw(&mut self, most: usize) -> Vec<u8> {
        let count = most.min(self.bytes.len());
        self.bytes.drain(..count).collect()
    }

    /// Takes the message off the front, if it is all there. It consists of `lead` bytes and so many
    /// messagepack `values`; `decode` says what it is and how long.
    pub fn take<T>(
        &mut self,
        (lead, values): (usize, usize),
        decode: impl FnOnce(&[u8]) -> io::Result<Option<(T, usize)>>,
    ) -> io::Result<Option<T>> {
        if self.bytes.is_empty() || self.partial && !is_whole(&self.bytes, lead, values) {
            return Ok(None);
        }
        let Some((message, used)) = decode(&self.bytes)? else {
            self.partial = true;
            return Ok(None);
        };
        self.partial = false;
        self.bytes.drain(..used);
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEPT_BUFFER);
        }
        Ok(Some(message))
    }

    /// Reads until one more message is whole; `None` at a clean end. `heard` is called whenever
    /// something came, and whether that made a message whole.
    pub async fn read<T>(
        &mut self,
        reader: &mut impl ByteReader,
        shape: (usize, usize),
        decode: impl Fn(&[u8]) -> io::Result<Option<(T, usize)>>,
        heard: impl Fn(bool),
    ) -> io::Result<Option<T>> {
        self.chunk.resize(READ_CHUNK_BYTES, 0);
        loop {
            if let Some(message) = self.take(shape, &decode)? {
                heard(true);
                return Ok(Some(message));
            }
            match runtime::read(reader, &mut self.chunk).await? {
                0 if self.bytes.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.bytes.extend_from_slice(&self.chunk[..count]),
            }
            heard(false);
        }
    }
}

/// Whether decoding the front can do more than ask for more bytes: all values are there, or
/// something is wrong with them, which the decoder then says.
fn is_whole(bytes: &[u8], lead: usize, values: usize) -> bool {
    let Some(rest) = bytes.get(lead..) else { return false };
    let mut reader = Reader::new(rest);
    let walked = (0..values).try_for_each(|_| reader.skip());
    walked.map_or_else(|error| error.fault != Fault::Incomplete, |()| true)
        || bytes.len() >= MAX_MESSAGE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::msgpack::Writer;
    use std::cell::Cell;

    #[test]
    fn a_large_message_in_small_pieces_is_decoded_twice() {
        let mut message = vec![7];
        Writer::new(&mut message).bytes_or_nil(&vec![1; 300_000]);
        let whole = message.len();
        message.push(9);
        let tries = Cell::new(0);
        let decode = |bytes: &[u8]| {
            tries.set(tries.get() + 1);
            Ok((bytes.len() >= whole).then_some((bytes[0], whole)))
        };
        let mut frames = Frames::default();
        let mut taken = Vec::new();
        for piece in message.chunks(1000) {
            frames.push(piece);
            taken.extend(frames.take((1, 1), decode).expect("it is well formed"));
        }
        assert_eq!((taken, tries.get()), (vec![7], 2));
        assert_eq!(frames.bytes, [9]);
    }

    #[test]
    fn what_is_malformed_reaches_the_decoder() {
        let mut frames = Frames { bytes: vec![0, 0xc1], partial: true, ..Frames::default() };
        let refused = |_: &[u8]| Err::<Option<((), usize)>, _>(io::ErrorKind::InvalidData.into());
        assert!(frames.take((1, 1), refused).is_err());
    }
}
