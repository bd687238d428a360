//! Datagrams in and out.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::agent::{Input, PoolId};
use crate::base::Duration;
use crate::base::runtime::{Datagrams, Level, Runtime};
use crate::gossip;
use crate::wire::gossip::Problem;

use super::super::mailbox::{Handle, Message};
use super::Secrets;

/// A datagram has no more.
const DATAGRAM_BYTES: usize = 65_536;
/// So many causes are remembered, and logged, in a process life.
const CAUSES_MAX: usize = 1_024;

/// What was complained of already: each cause once for each peer.
#[derive(Default)]
pub(super) struct Complaints(BTreeSet<(IpAddr, String)>);

impl Complaints {
    pub fn is_new(&mut self, from: IpAddr, text: &str) -> bool {
        self.0.len() < CAUSES_MAX && self.0.insert((from, text.to_owned()))
    }
}

/// Receives for ever.
pub(super) async fn receive<R: Runtime>(
    runtime: R,
    socket: Arc<R::Datagrams>,
    pool: PoolId,
    secrets: Arc<Secrets>,
    handle: Handle,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let mut complaints = Complaints::default();
    loop {
        let (len, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                log_failure(&runtime, &error);
                runtime.sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let unpacked = secrets.unpack(&buffer[..len]);
        for problem in &unpacked.problems {
            if complaints.is_new(from.ip(), &problem.text) {
                log_problem(&runtime, problem, from);
            }
        }
        if !unpacked.messages.is_empty() {
            let input = gossip::Input::Packet { from, messages: unpacked.messages };
            handle.post(Message::Input(Input::Gossip(pool, input)));
        }
    }
}

/// Sends what comes, until nobody sends any more. A datagram that cannot be sent is lost, as others are.
pub(super) async fn send<D: Datagrams>(
    socket: Arc<D>,
    mut outgoing: mpsc::UnboundedReceiver<(SocketAddr, Vec<u8>)>,
) {
    while let Some((to, bytes)) = outgoing.recv().await {
        let _ = socket.send_to(&bytes, to).await;
    }
}

fn log_failure<R: Runtime>(runtime: &R, error: &std::io::Error) {
    let text = format_args!("Error reading UDP packet: {error}");
    runtime.log(Level::Error, "agent.memberlist", text);
}

fn log_problem<R: Runtime>(runtime: &R, problem: &Problem, from: SocketAddr) {
    let level = if problem.is_error { Level::Error } else { Level::Warn };
    let text = problem.text_from(from);
    runtime.log(level, "agent.memberlist", format_args!("{}: {text}", problem.module));
}
