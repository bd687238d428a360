//! The handles that a simulated process holds on TCP: thin, everything is in [`tcp`](super::tcp).

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use proconsul::base::runtime::{ByteReader, ByteStream, ByteWriter, Listener};

use super::process::Process;
use super::slab::Key;

/// One reference to one end of a connection. The last one to drop closes the end; those of a dead
/// process do nothing, since its kernel has closed everything already.
struct Socket {
    process: Arc<Process>,
    key: Key,
    end: usize,
}

impl Socket {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.process.open()?.tcp_read(self.key, self.end, into, cx)
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.process.open()?.tcp_write(self.key, self.end, bytes, cx)
    }

    fn shutdown(&self) -> io::Result<()> {
        self.process.open()?.tcp_shutdown(self.key, self.end)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Ok(mut world) = self.process.open() {
            world.tcp_release(self.key, self.end);
        }
    }
}

/// A TCP connection of a simulated process.
pub struct SimStream {
    socket: Socket,
    local: SocketAddr,
    peer: SocketAddr,
}

impl SimStream {
    pub(super) async fn connect(process: &Arc<Process>, to: SocketAddr) -> io::Result<Self> {
        let (key, local) = process.open()?.connect(process.host, to)?;
        // Held from here on, so that giving up the connect closes it.
        let socket = Socket { process: process.clone(), key, end: 0 };
        poll_fn(|cx| process.open()?.poll_open(key, cx)).await?;
        Ok(Self { socket, local, peer: to })
    }
}

impl ByteReader for SimStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_read(cx, into)
    }
}

impl ByteWriter for SimStream {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, bytes)
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown())
    }
}

impl ByteStream for SimStream {
    type Reader = SimReader;
    type Writer = SimWriter;

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn split(self) -> (SimReader, SimWriter) {
        let Socket { process, key, end } = &self.socket;
        if let Ok(mut world) = process.open() {
            world.tcp_retain(*key, *end);
        }
        let second = Socket { process: process.clone(), key: *key, end: *end };
        (SimReader { socket: self.socket }, SimWriter { socket: second })
    }
}

/// The reading half of a [`SimStream`].
pub struct SimReader {
    socket: Socket,
}

impl ByteReader for SimReader {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_read(cx, into)
    }
}

/// The writing half of a [`SimStream`]; dropping it shuts its direction down.
pub struct SimWriter {
    socket: Socket,
}

impl ByteWriter for SimWriter {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, bytes)
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown())
    }
}

impl Drop for SimWriter {
    fn drop(&mut self) {
        // An error says that the connection is gone already.
        let _gone = self.socket.shutdown();
    }
}

/// A listening TCP socket of a simulated process.
pub struct SimListener {
    process: Arc<Process>,
    key: Key,
    local: SocketAddr,
}

impl SimListener {
    pub(super) fn bind(process: &Arc<Process>, at: SocketAddr) -> io::Result<Self> {
        let (key, local) = process.open()?.listen(process.host, at)?;
        Ok(Self { process: process.clone(), key, local })
    }
}

impl Listener for SimListener {
    type Stream = SimStream;

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    async fn accept(&mut self) -> io::Result<SimStream> {
        let (key, local, peer) = poll_fn(|cx| self.process.open()?.accept(self.key, cx)).await?;
        let socket = Socket { process: self.process.clone(), key, end: 1 };
        Ok(SimStream { socket, local, peer })
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        if let Ok(mut world) = self.process.open() {
            world.close_listener(self.key, true);
        }
    }
}
