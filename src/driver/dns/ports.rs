//! Questions in, answers out.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::base::runtime::{
    ByteStream, Datagrams, Level, Listener, Runtime, read, read_exact, write_all,
};
use crate::base::{Duration, Seats};
use crate::config;
use crate::dns::{Backend, MAX_MESSAGE, Server, Transport};
use crate::raft::Profile;

use super::super::node::named_port;

/// Questions in datagrams that are worked on at once.
const QUESTIONS_MAX: usize = 4096;
/// Connections that are open at once, and those of one address.
const CONNECTIONS_MAX: usize = 1024;
const CONNECTIONS_OF_ONE_MAX: usize = 200;
/// Then a connection is closed, as Consul does.
const QUESTIONS_OF_CONNECTION: usize = 128;
/// The first question must come so soon, a later one so soon, and be whole so soon after it has begun.
const FIRST_TIMEOUT: Duration = Duration::from_secs(2);
const IDLE_TIMEOUT: Duration = Duration::from_secs(8);
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(2);
/// An answer must be taken so soon.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// After the system could not receive or accept.
const PAUSE: Duration = Duration::from_millis(5);

/// Takes the ports, and begins to answer.
pub(in super::super) async fn listen<R: Runtime, B: Backend>(
    runtime: &R,
    config: &config::AgentConfig,
    server: &Server<B>,
) -> Result<(), String> {
    let Some(port) = config.ports.dns else { return Ok(()) };
    let questions = Arc::new(Semaphore::new(QUESTIONS_MAX));
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    for ip in &config.dns.addresses {
        let at = SocketAddr::new(*ip, port);
        let listener = runtime.listen(at).await.map_err(named_port)?;
        tell(runtime, config.profile, at, Transport::Tcp);
        let socket = runtime.bind_datagrams(at).await.map_err(named_port)?;
        tell(runtime, config.profile, at, Transport::Udp);
        let accepting = accept(runtime.clone(), listener, server.clone(), connections.clone());
        runtime.spawn("dns streams", accepting);
        let receiving =
            receive(runtime.clone(), Arc::new(socket), server.clone(), questions.clone());
        runtime.spawn("dns datagrams", receiving);
    }
    Ok(())
}

fn tell<R: Runtime>(runtime: &R, profile: Profile, at: SocketAddr, over: Transport) {
    match profile {
        Profile::Modern => {
            let text = format_args!("Started DNS server: address={at} network={over}");
            runtime.log(Level::Info, "agent", text);
        }
        Profile::Legacy => {
            runtime.log(Level::Info, "agent", format_args!("Started DNS server {at} ({over})"));
        }
    }
}

async fn receive<R: Runtime, B: Backend>(
    runtime: R,
    socket: Arc<R::Datagrams>,
    server: Server<B>,
    questions: Arc<Semaphore>,
) {
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        // The semaphore is never closed.
        let Ok(seat) = questions.clone().acquire_owned().await else { return };
        let (len, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(_) => {
                runtime.sleep(PAUSE).await;
                continue;
            }
        };
        let (socket, server, bytes) = (socket.clone(), server.clone(), buffer[..len].to_vec());
        runtime.spawn("dns", async move {
            if let Some(answer) = server.answer(&bytes, from, Transport::Udp).await {
                // What cannot be sent is lost, as any datagram may be: the asker asks again.
                let _ = socket.send_to(&answer, from).await;
            }
            drop(seat);
        });
    }
}

async fn accept<R: Runtime, B: Backend>(
    runtime: R,
    mut listener: R::Listener,
    server: Server<B>,
    connections: Arc<Semaphore>,
) {
    let seats = Seats::new(CONNECTIONS_OF_ONE_MAX);
    loop {
        let Ok(seat) = connections.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(_) => {
                runtime.sleep(PAUSE).await;
                continue;
            }
        };
        // One more of this address than there may be: it is closed at once.
        let Some(of_address) = seats.take(stream.peer_addr().ip()) else { continue };
        let (own, server) = (runtime.clone(), server.clone());
        runtime.spawn("dns stream", async move {
            serve(&own, stream, &server).await;
            drop((seat, of_address));
        });
    }
}

/// Answers one question after the other until the client goes, or is too slow.
async fn serve<R: Runtime, B: Backend>(runtime: &R, mut stream: R::Stream, server: &Server<B>) {
    let from = stream.peer_addr();
    let mut patience = FIRST_TIMEOUT;
    for _ in 0..QUESTIONS_OF_CONNECTION {
        let Some(question) = next_question(runtime, &mut stream, patience).await else { return };
        patience = IDLE_TIMEOUT;
        let Some(answer) = server.answer(&question, from, Transport::Tcp).await else { return };
        // No message is longer than its length can say.
        let Ok(len) = u16::try_from(answer.len()) else { return };
        let framed = [&len.to_be_bytes()[..], &answer].concat();
        let written = runtime.timeout(WRITE_TIMEOUT, write_all(&mut stream, &framed)).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// None: the client is gone, or keeps us waiting.
async fn next_question<R: Runtime>(
    runtime: &R,
    stream: &mut R::Stream,
    patience: Duration,
) -> Option<Vec<u8>> {
    let mut len = [0; 2];
    let begun = runtime.timeout(patience, read(stream, &mut len[..1])).await.ok()?.ok()?;
    if begun == 0 {
        return None;
    }
    let rest = async {
        read_exact(stream, &mut len[1..]).await?;
        let mut question = vec![0; usize::from(u16::from_be_bytes(len))];
        read_exact(stream, &mut question).await.map(|()| question)
    };
    runtime.timeout(MESSAGE_TIMEOUT, rest).await.ok()?.ok()
}
