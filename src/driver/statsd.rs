//! Figures for a statsd server, over UDP: every second what has come since, in datagrams that every network
//! carries.
//!
//! Nobody waits for them: what cannot be sent is lost. After a failure the server's name is looked up again,
//! so that one that has moved is found.

use std::net::{IpAddr, SocketAddr};

use crate::base::Duration;
use crate::base::metrics::Metrics;
use crate::base::runtime::{Datagrams, Level, Runtime};

const EVERY: Duration = Duration::from_secs(1);
/// After a failure.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// What one datagram holds, bytes: no network between here and there has to take it apart.
const DATAGRAM_MAX: usize = 1400;
/// Where a statsd server listens when nobody says.
const PORT: u16 = 8125;

/// Sends until the task is stopped.
pub(super) async fn send<R: Runtime>(runtime: R, address: String, metrics: Metrics) {
    loop {
        let why = match open(&runtime, &address).await {
            Ok((socket, to)) => send_on(&runtime, &socket, to, &metrics).await,
            Err(why) => why,
        };
        tell(&runtime, &address, &why);
        runtime.sleep(RETRY_AFTER).await;
    }
}

fn tell<R: Runtime>(runtime: &R, address: &str, why: &str) {
    let text = format_args!("figures cannot be sent: statsd_address={address} error={why:?}");
    runtime.log(Level::Warn, "agent", text);
}

async fn open<R: Runtime>(
    runtime: &R,
    address: &str,
) -> Result<(R::Datagrams, SocketAddr), String> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let port = if port.is_empty() { PORT } else { port.parse().map_err(|_| "no port number")? };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = runtime.resolve(host).await.map_err(|error| error.to_string())?;
    let ip = *found.first().ok_or("no such host")?;
    let any: IpAddr = if ip.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let socket = runtime.bind_datagrams(SocketAddr::new(any, 0)).await;
    Ok((socket.map_err(|error| error.to_string())?, SocketAddr::new(ip, port)))
}

/// Ends when it cannot: why.
async fn send_on<R: Runtime>(
    runtime: &R,
    socket: &R::Datagrams,
    to: SocketAddr,
    metrics: &Metrics,
) -> String {
    loop {
        runtime.sleep(EVERY).await;
        let usage = runtime.usage();
        let gauges = [
            ("runtime.num_goroutines", usage.tasks as f64),
            ("runtime.sys_bytes", usage.memory_bytes as f64),
        ];
        for datagram in datagrams(metrics.take_statsd_lines(&gauges)) {
            if let Err(error) = socket.send_to(datagram.as_bytes(), to).await {
                return error.to_string();
            }
        }
    }
}

/// Lines put together, each datagram of at most [`DATAGRAM_MAX`] bytes unless one line is longer.
fn datagrams(lines: Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in lines {
        match all.last_mut() {
            Some(last) if last.len() + line.len() <= DATAGRAM_MAX => last.push_str(&line),
            _ => all.push(line),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_taken_apart() {
        let lines: Vec<String> =
            (0..300).map(|it| format!("consul.some.name.{it}:1|c\n")).collect();
        let all = datagrams(lines.clone());
        assert!(
            all.len() > 5 && all.iter().all(|it| it.len() <= DATAGRAM_MAX && it.ends_with('\n'))
        );
        assert_eq!(all.concat(), lines.concat());
        assert!(datagrams(Vec::new()).is_empty());
    }
}
