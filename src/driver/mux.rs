//! A yamux session on one connection of the runtime's: moves bytes between the two, and decides
//! nothing. Both sides of a connection use it, `calls` and `substreams`.

use std::io;
use std::task::{Context, Poll};

use crate::base::runtime::{ByteReader, ByteWriter};
use crate::wire::yamux::{Event, Session};

use super::frames::READ_CHUNK_BYTES;
use super::peers::invalid;

/// A session, and room to read into.
pub(super) struct Mux {
    pub session: Session,
    chunk: Vec<u8>,
}

impl Mux {
    pub fn new(session: Session) -> Self {
        Self { session, chunk: vec![0; READ_CHUNK_BYTES] }
    }

    /// Reads until there is nothing more for now, and hands on what it means; whether anything came.
    /// A clean end is an error like any other.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut impl ByteReader,
        mut take: impl FnMut(&mut Session, Event<'_>) -> io::Result<()>,
    ) -> io::Result<bool> {
        let mut heard = false;
        while let Poll::Ready(count) = reader.poll_read(cx, &mut self.chunk) {
            let count = count?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            heard = true;
            let mut input = &self.chunk[..count];
            while let Some(event) = self.session.next(&mut input).map_err(invalid)? {
                take(&mut self.session, event)?;
            }
        }
        Ok(heard)
    }

    /// Writes until nothing is left, or the peer takes no more for now.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut impl ByteWriter,
    ) -> io::Result<()> {
        loop {
            let bytes = self.session.outgoing();
            if bytes.is_empty() {
                return Ok(());
            }
            match writer.poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.session.wrote(written?),
                Poll::Pending => return Ok(()),
            }
        }
    }
}
