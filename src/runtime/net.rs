//! Sockets and name lookup.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixStream, lookup_host, tcp, unix};

use crate::base::runtime::{ByteReader, ByteStream, ByteWriter, Datagrams, Listener};

/// Says which address an error is about.
fn about(action: &str, at: SocketAddr) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{action} {at}: {error}"))
}

/// Addresses of a host name, in the resolver's order, each once. Errors name the host, in Go's words.
pub(super) async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(literal) = host.parse() {
        return Ok(vec![literal]);
    }
    let unknown =
        |text: &str| io::Error::new(io::ErrorKind::NotFound, format!("lookup {host}: {text}"));
    if is_old_address(host) {
        return Err(unknown(NO_SUCH_HOST));
    }
    let found = lookup_host((host, 0)).await.map_err(|error| match error.to_string() {
        text if UNKNOWN_NAMES.iter().any(|known| text.ends_with(known)) => unknown(NO_SUCH_HOST),
        text => unknown(&text),
    })?;
    let mut addresses = Vec::new();
    for address in found.map(|socket| socket.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(unknown(NO_SUCH_HOST)) } else { Ok(addresses) }
}

const NO_SUCH_HOST: &str = "no such host";

/// How the C library says that.
const UNKNOWN_NAMES: &[&str] =
    &["Name or service not known", "No address associated with hostname", "Name does not resolve"];

/// Whether the C library's resolver would read this name as an address that Go's does not: fewer than
/// four numbers, octal or hexadecimal ones (`1.2.3` is 1.2.0.3 to it). For Go it is a name, and nobody
/// bears it.
fn is_old_address(host: &str) -> bool {
    let is_number = |part: &str| {
        let hex = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
        match hex {
            Some(digits) => digits.bytes().all(|it| it.is_ascii_hexdigit()),
            None => !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit()),
        }
    };
    host.split('.').count() <= 4 && host.split('.').all(is_number)
}

/// A connection: over TCP, or to a socket in the file system.
pub struct TokioStream {
    stream: Socket,
    local: SocketAddr,
    peer: SocketAddr,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl TokioStream {
    pub(super) async fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await.map_err(about("connect to", to))?;
        Self::new(stream, to)
    }

    /// Both ends of such a connection are this machine, and have no port.
    pub(super) async fn connect_unix(path: &Path) -> io::Result<Self> {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let stream = UnixStream::connect(path).await?;
        Ok(Self { stream: Socket::Unix(stream), local: here, peer: here })
    }

    fn new(stream: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        // What was written is on its way: no waiting for more to fill a packet.
        stream.set_nodelay(true)?;
        Ok(Self { local: stream.local_addr()?, stream: Socket::Tcp(stream), peer })
    }
}

fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    into: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(into);
    Pin::new(stream).poll_read(cx, &mut buffer).map_ok(|()| buffer.filled().len())
}

impl ByteReader for TokioStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Socket::Tcp(stream) => poll_read(stream, cx, into),
            Socket::Unix(stream) => poll_read(stream, cx, into),
        }
    }
}

impl ByteWriter for TokioStream {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl ByteStream for TokioStream {
    type Reader = TokioReader;
    type Writer = TokioWriter;

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn split(self) -> (TokioReader, TokioWriter) {
        match self.stream {
            Socket::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (TokioReader(ReadHalf::Tcp(reader)), TokioWriter(WriteHalf::Tcp(writer)))
            }
            Socket::Unix(stream) => {
                let (reader, writer) = stream.into_split();
                (TokioReader(ReadHalf::Unix(reader)), TokioWriter(WriteHalf::Unix(writer)))
            }
        }
    }
}

enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
}

enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

/// The reading half of a [`TokioStream`].
pub struct TokioReader(ReadHalf);

impl ByteReader for TokioReader {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            ReadHalf::Tcp(half) => poll_read(half, cx, into),
            ReadHalf::Unix(half) => poll_read(half, cx, into),
        }
    }
}

/// The writing half of a [`TokioStream`]; dropping it shuts its direction down.
pub struct TokioWriter(WriteHalf);

impl ByteWriter for TokioWriter {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            WriteHalf::Tcp(half) => Pin::new(half).poll_write(cx, bytes),
            WriteHalf::Unix(half) => Pin::new(half).poll_write(cx, bytes),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            WriteHalf::Tcp(half) => Pin::new(half).poll_shutdown(cx),
            WriteHalf::Unix(half) => Pin::new(half).poll_shutdown(cx),
        }
    }
}

/// A listening TCP socket.
pub struct TokioListener {
    listener: TcpListener,
    local: SocketAddr,
}

impl TokioListener {
    pub(super) async fn bind(at: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await.map_err(about("listen on", at))?;
        Ok(Self { local: listener.local_addr()?, listener })
    }
}

impl Listener for TokioListener {
    type Stream = TokioStream;

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    async fn accept(&mut self) -> io::Result<TokioStream> {
        loop {
            let (stream, peer) = self.listener.accept().await?;
            // A connection that is reset before it is looked at is no fault of the listener.
            if let Ok(stream) = TokioStream::new(stream, peer) {
                return Ok(stream);
            }
        }
    }
}

/// A UDP socket.
pub struct TokioDatagrams {
    socket: UdpSocket,
    local: SocketAddr,
}

impl TokioDatagrams {
    pub(super) async fn bind(at: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(at).await.map_err(about("bind UDP", at))?;
        Ok(Self { local: socket.local_addr()?, socket })
    }
}

impl Datagrams for TokioDatagrams {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.socket.send_to(bytes, to).await
    }

    async fn recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(into).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_go_takes_for_one() {
        for old in ["1.2.3", "1", "2130706433", "0x7f.1", "0X7F000001", "0177.0.0.1", "1.2.3.256"] {
            assert!(is_old_address(old), "{old}");
        }
        for name in ["a", "1.2.3.4.5", "1.2.3.x", "db1", "1.2.3.", "x0.1", "", "10-0-0-1.local"] {
            assert!(!is_old_address(name), "{name}");
        }
    }
}
