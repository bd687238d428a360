//! Streams: one message each way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, oneshot};

use crate::agent::PoolId;
use crate::base::Duration;
use crate::base::runtime::{self, ByteStream, Level, Listener, Runtime};
use crate::gossip::ExchangeId;
use crate::wire::gossip::{StreamDecoder, StreamMessage};

use super::super::mailbox::{Handle, Message};
use super::datagrams::Complaints;
use super::{Secrets, stream_timeout};

/// Streams that are read or answered at once: more are closed (memberlist's limit of push/pulls).
const STREAMS_MAX: usize = 128;
/// Read at once from a stream.
const PIECE_BYTES: usize = 16 << 10;

/// Accepts for ever.
pub(super) async fn accept<R: Runtime>(
    runtime: R,
    mut listener: R::Listener,
    pool: PoolId,
    secrets: Arc<Secrets>,
    handle: Handle,
) {
    let slots = Arc::new(Semaphore::new(STREAMS_MAX));
    let complaints = Arc::new(Mutex::new(Complaints::default()));
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let Ok(slot) = slots.clone().try_acquire_owned() else { continue };
                let (own, secrets, handle) = (runtime.clone(), secrets.clone(), handle.clone());
                let complaints = complaints.clone();
                runtime.spawn("gossip stream", async move {
                    let from = stream.peer_addr();
                    if let Err(why) = answer(&own, stream, pool, &secrets, &handle).await {
                        let is_new = complaints
                            .lock()
                            .expect("nothing panics while it holds the complaints")
                            .is_new(from.ip(), &why);
                        if is_new {
                            complain(&own, &format!("failed to receive: {why} from={from}"));
                        }
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                complain(&runtime, &format!("Error accepting TCP connection: {error}"));
                runtime.sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn complain<R: Runtime>(runtime: &R, text: &str) {
    runtime.log(Level::Error, "agent.memberlist", format_args!("memberlist: {text}"));
}

/// Reads what somebody says, and answers what the core of the pool says to that.
async fn answer<R: Runtime>(
    runtime: &R,
    mut stream: R::Stream,
    pool: PoolId,
    secrets: &Secrets,
    handle: &Handle,
) -> Result<(), String> {
    let patience = stream_timeout(pool);
    let from = stream.peer_addr();
    let message = match read_message(runtime, secrets, &mut stream, patience).await {
        Ok(Some(message)) => message,
        // Opened and closed: somebody looks whether the port is there.
        Ok(None) => return Ok(()),
        Err(why) => {
            let text = StreamMessage::Error(why.clone());
            let bytes = secrets.pack_stream(runtime, &text);
            let _ = runtime.timeout(patience, runtime::write_all(&mut stream, &bytes)).await;
            return Err(why);
        }
    };
    // Odd numbers are the streams of others; the core's own are even.
    let exchange = ExchangeId(handle.new_name() * 2 + 1);
    let (reply, replied) = oneshot::channel();
    handle.post(Message::GossipStream { pool, from, exchange, message, reply });
    let Ok(Some(answer)) = replied.await else { return Ok(()) };
    let bytes = secrets.pack_stream(runtime, &answer);
    let written = runtime.timeout(patience, runtime::write_all(&mut stream, &bytes)).await;
    match written {
        // The other end may have gone: that is for its own probes to find.
        Ok(Ok(()) | Err(_)) => Ok(()),
        Err(_) => Err("Failed to push local state: i/o timeout".to_owned()),
    }
}

/// Why an exchange brought nothing.
pub(super) enum Broken {
    /// Nobody could be reached.
    NotConnected(String),
    /// The stream broke, or brought nothing that can be read.
    Failed(String),
}

impl Broken {
    pub fn text(self) -> String {
        match self {
            Broken::NotConnected(text) | Broken::Failed(text) => text,
        }
    }
}

/// Says something to somebody over a stream of its own; what it answers.
pub(super) async fn exchange<R: Runtime>(
    runtime: &R,
    secrets: &Secrets,
    to: SocketAddr,
    message: &StreamMessage,
    patience: Duration,
) -> Result<StreamMessage, Broken> {
    let connected = runtime.timeout(patience, runtime.connect(to)).await.and_then(|it| it);
    let mut stream = connected.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            std::io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
            _ => error.to_string(),
        };
        Broken::NotConnected(format!("dial tcp {to}: {why}"))
    })?;
    let bytes = secrets.pack_stream(runtime, message);
    let written = runtime.timeout(patience, runtime::write_all(&mut stream, &bytes)).await;
    let cut = |error| Broken::Failed(format!("write tcp {to}: {error}"));
    written.and_then(|it| it).map_err(cut)?;
    match read_message(runtime, secrets, &mut stream, patience).await.map_err(Broken::Failed)? {
        Some(answer) => Ok(answer),
        None => Err(Broken::Failed("EOF".to_owned())),
    }
}

/// The one message of a stream's direction; none when it ended before it began.
async fn read_message<R: Runtime>(
    runtime: &R,
    secrets: &Secrets,
    stream: &mut R::Stream,
    patience: Duration,
) -> Result<Option<StreamMessage>, String> {
    let reading = async {
        let mut decoder = StreamDecoder::new();
        let mut bytes = Vec::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let len = runtime::read(stream, &mut piece).await.map_err(|error| error.to_string())?;
            if len == 0 {
                return match bytes.is_empty() {
                    true => Ok(None),
                    false => Err("unexpected EOF".to_owned()),
                };
            }
            bytes.extend_from_slice(&piece[..len]);
            match secrets.unpack_stream(&mut decoder, &bytes) {
                Ok(Some(received)) => return Ok(Some(received.message)),
                Ok(None) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    runtime.timeout(patience, reading).await.unwrap_or_else(|_| Err("i/o timeout".to_owned()))
}
