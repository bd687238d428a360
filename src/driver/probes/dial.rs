//! A TCP connection to `host:port`, and Go's words when there is none.

use std::io;
use std::net::SocketAddr;

use crate::base::runtime::Runtime;

/// Connects to the first address of the host that answers.
///
/// # Errors
/// Why the first of them could not be reached, as Go's `net` says it.
pub(super) async fn dial<R: Runtime>(runtime: &R, address: &str) -> Result<R::Stream, String> {
    let (host, port) =
        split(address).map_err(|why| format!("dial tcp: address {address}: {why}"))?;
    let port = port.parse::<u16>().map_err(|_| match port.parse::<u64>() {
        Ok(_) => format!("dial tcp: address {port}: invalid port"),
        Err(_) => format!("dial tcp: lookup tcp/{port}: unknown port"),
    })?;
    // Go takes no host for this machine.
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let unknown = || format!("dial tcp: lookup {host}: no such host");
    let addresses = runtime.resolve(host).await.map_err(|_| unknown())?;
    let mut first = None;
    for ip in addresses {
        let to = SocketAddr::new(ip, port);
        match runtime.connect(to).await {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                first.get_or_insert_with(|| format!("dial tcp {to}: {}", words(&error)));
            }
        }
    }
    Err(first.unwrap_or_else(unknown))
}

fn words(error: &io::Error) -> String {
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused",
        io::ErrorKind::TimedOut => "i/o timeout",
        io::ErrorKind::HostUnreachable => "connect: no route to host",
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable",
        io::ErrorKind::ConnectionReset => "connect: connection reset by peer",
        _ => return format!("connect: {error}"),
    };
    text.to_owned()
}

/// `host:port`, `[v6]:port`.
pub(super) fn split(address: &str) -> Result<(&str, &str), &'static str> {
    let (host, port) = address.rsplit_once(':').ok_or("missing port in address")?;
    match host.strip_prefix('[') {
        Some(inner) => match inner.strip_suffix(']') {
            Some(inner) => Ok((inner, port)),
            None if address.ends_with(']') => Err("missing port in address"),
            None => Err("missing ']' in address"),
        },
        None if host.contains(':') => Err("too many colons in address"),
        None => Ok((host, port)),
    }
}
