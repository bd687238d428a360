//! One question to a recursor.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::base::runtime::{Datagrams, Runtime, read_exact, write_all};
use crate::dns::{MAX_MESSAGE, Transport};

/// Sends a message, and waits for one with the same number. For as long as it takes: the caller bounds it.
pub(super) async fn exchange<R: Runtime>(
    runtime: &R,
    recursor: SocketAddr,
    over: Transport,
    message: &[u8],
) -> io::Result<Vec<u8>> {
    match over {
        Transport::Udp => by_datagram(runtime, recursor, message).await,
        Transport::Tcp => by_stream(runtime, recursor, message).await,
    }
}

/// What comes from elsewhere, or under another number, is somebody's guess: it is not heard.
async fn by_datagram<R: Runtime>(
    runtime: &R,
    recursor: SocketAddr,
    message: &[u8],
) -> io::Result<Vec<u8>> {
    let any = match recursor.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = runtime.bind_datagrams(SocketAddr::new(any, 0)).await?;
    socket.send_to(message, recursor).await?;
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await?;
        if from == recursor && len >= 2 && buffer[..2] == message[..2] {
            buffer.truncate(len);
            return Ok(buffer);
        }
    }
}

async fn by_stream<R: Runtime>(
    runtime: &R,
    recursor: SocketAddr,
    message: &[u8],
) -> io::Result<Vec<u8>> {
    let len = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut stream = runtime.connect(recursor).await?;
    write_all(&mut stream, &[&len.to_be_bytes()[..], message].concat()).await?;
    let mut len = [0; 2];
    read_exact(&mut stream, &mut len).await?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    read_exact(&mut stream, &mut answer).await?;
    let is_ours = answer.len() >= 2 && answer[..2] == message[..2];
    is_ours.then_some(answer).ok_or_else(|| io::Error::other("answered under another number"))
}
