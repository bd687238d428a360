//! The operating system as the shell sees it: one trait, two forms.
//!
//! ```text
//!   driver::Node<R: Runtime>  ──►  runtime::TokioRuntime   real sockets, files, clock   (ships)
//!                             ──►  sim-runner's fabric     seeded network, disk, clock  (testbed)
//! ```
//!
//! Contract, the same for both forms and held by one behaviour suite that runs against each:
//! * Reads and receives are cancel-safe: a future dropped before it is ready has taken nothing.
//! * Streams are ordered, windowed (a peer that does not read stops the writer), and end in EOF after
//!   the other side's shutdown, or in `ConnectionReset`.
//! * A write is durable only after [`File::sync`]; a new or renamed *name* only after
//!   [`Disk::sync_dir`] on its folder.
//! * Dropping a stream closes it. Dropping a task handle does not stop the task.
//!
//! Deliberately not here: TLS, timeouts (callers combine with [`Runtime::sleep`]), threads.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::base::attached::{AttachedChild, AttachedCommand, unattached};
use crate::base::log_settings::LogSettings;
use crate::base::log_tap::LogTaps;
use crate::base::machine::{Machine, Usage};
use crate::base::time::{Duration, Instant, WallTime};

/// A Unix signal that reaches the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP: reload the configuration.
    Hangup,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Terminate => "terminated",
            Signal::Interrupt => "interrupt",
            Signal::Hangup => "hangup",
        })
    }
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// A child process to run: a script check, a watch handler.
#[derive(Clone, Debug, Default)]
pub struct ChildCommand {
    /// Program and arguments; no shell looks at them.
    pub argv: Vec<String>,
    /// Variables added to the environment.
    pub env: Vec<(String, String)>,
    /// Written to its standard input.
    pub stdin: Vec<u8>,
    /// After so long it is killed, with all that it started; none: it may take for ever.
    pub timeout: Option<Duration>,
    /// How much of its output is kept, bytes: the last; none: 4096.
    pub output_limit: Option<usize>,
}

/// How a child process ended.
#[derive(Clone, Debug)]
pub struct ChildExit {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output and standard error, interleaved as they came: the end of it.
    pub output: Vec<u8>,
    /// How much output there was in all, bytes.
    pub written: u64,
    /// Its time was over: it was killed.
    pub timed_out: bool,
}

/// The operating system, seen from one node.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A TCP connection.
    type Stream: ByteStream;
    /// A listening TCP socket.
    type Listener: Listener<Stream = Self::Stream>;
    /// A UDP socket.
    type Datagrams: Datagrams;
    /// A folder of files.
    type Disk: Disk;
    /// A resettable timer.
    type Timer: Timer;
    /// A handle on a spawned task.
    type Task: Task;

    /// This node's monotonic clock.
    fn now(&self) -> Instant;
    /// This node's wall clock.
    fn wall_clock(&self) -> WallTime;
    /// A timer that is not set.
    fn timer(&self) -> Self::Timer;
    /// Runs a task in the background until it ends, is aborted, or the process dies.
    fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Self::Task;

    /// Opens a TCP connection. `ConnectionRefused` when nothing listens there; `TimedOut` when
    /// nothing answers for as long as the system tries.
    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    /// Opens a connection to a socket in the file system. A system without any refuses.
    fn connect_unix(&self, _path: &Path) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        async { Err(io::ErrorKind::Unsupported.into()) }
    }
    /// Listens for TCP connections; port 0 takes a free one.
    fn listen(&self, at: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;
    /// Opens a UDP socket; port 0 takes a free one.
    fn bind_datagrams(
        &self,
        at: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Datagrams>> + Send;
    /// Looks a host name up (an address literal is its own answer).
    fn resolve(&self, host: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send;

    /// The number of this process; 0: it has none (simulated).
    fn process_id(&self) -> u32 {
        0
    }

    /// The files below this folder.
    fn disk(&self, root: &Path) -> Self::Disk;
    /// Fills a buffer from the system's entropy (simulated: the node's own seeded stream).
    fn entropy(&self, bytes: &mut [u8]);
    /// Takes one rendered log line. `module` is Consul's logger name (`agent.server.raft`).
    fn log(&self, level: Level, module: &str, message: fmt::Arguments<'_>);
    /// The least grave line that is shown from now on. A system that keeps every line has nothing to do.
    fn set_log_level(&self, _level: Level) {}
    /// In which form lines are shown and where they are kept from now on. A system that keeps every line
    /// in its own way has nothing to do.
    ///
    /// # Errors
    /// The file cannot be written; the error names it.
    fn open_log(&self, _settings: &LogSettings) -> io::Result<()> {
        Ok(())
    }
    /// Where the lines that this process logs can be listened to.
    fn log_taps(&self) -> &LogTaps;
    /// What this process takes of its machine.
    fn usage(&self) -> Usage;
    /// The machine.
    fn machine(&self) -> Machine;
    /// Waits for the next signal.
    fn signal(&self) -> impl Future<Output = Signal> + Send;
    /// Runs a child process to its end; dropping the future kills it, with all that it started.
    fn run_child(
        &self,
        command: ChildCommand,
    ) -> impl Future<Output = io::Result<ChildExit>> + Send;
    /// Starts a child process on this process's own terminal.
    ///
    /// # Errors
    /// Why it does not start; `Unsupported` where there is no terminal.
    fn start_attached(&self, _command: AttachedCommand) -> io::Result<Box<dyn AttachedChild>> {
        unattached()
    }
    /// Whether a person watches what goes to standard error, and may be told how things go.
    fn is_watched(&self) -> bool {
        false
    }

    /// Waits this long.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send {
        let mut timer = self.timer();
        timer.set(Some(self.now() + span));
        async move { poll_fn(|cx| timer.poll_fired(cx)).await }
    }

    /// Runs a future for at most this long; `TimedOut` after. The future is polled first.
    fn timeout<T: Send>(
        &self,
        span: Duration,
        work: impl Future<Output = T> + Send,
    ) -> impl Future<Output = io::Result<T>> + Send {
        let mut timer = self.timer();
        timer.set(Some(self.now() + span));
        async move {
            let mut work = pin!(work);
            poll_fn(|cx| {
                if let Poll::Ready(done) = work.as_mut().poll(cx) {
                    return Poll::Ready(Ok(done));
                }
                timer.poll_fired(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            })
            .await
        }
    }
}

/// A timer with one deadline that can be moved at no cost.
pub trait Timer: Send + Unpin + 'static {
    /// Sets, moves or clears the deadline. A task that waits in [`Timer::poll_fired`] is woken for
    /// the new deadline. A deadline in the past fires at the next poll.
    fn set(&mut self, deadline: Option<Instant>);
    /// Ready once the deadline has passed; clears it then. Pending for ever when none is set.
    fn poll_fired(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A spawned task.
pub trait Task: Send + Sync + 'static {
    /// Stops it at its next await point; its values are dropped.
    fn abort(&self);
}

/// The reading half of a connection.
pub trait ByteReader: Send + Unpin + 'static {
    /// Reads what is there; `Ok(0)` is EOF (or an empty buffer).
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>>;
}

/// The writing half of a connection.
pub trait ByteWriter: Send + Unpin + 'static {
    /// Takes some bytes; pending while the window is full. What was taken is on its way: no flush is
    /// needed for it to arrive.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
    /// Ends this direction: the peer reads EOF after all that was written.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A TCP connection.
pub trait ByteStream: ByteReader + ByteWriter {
    /// The reading half.
    type Reader: ByteReader;
    /// The writing half; dropping it shuts the direction down.
    type Writer: ByteWriter;

    /// This end.
    fn local_addr(&self) -> SocketAddr;
    /// The other end.
    fn peer_addr(&self) -> SocketAddr;
    /// Takes it apart, for two tasks.
    fn split(self) -> (Self::Reader, Self::Writer);
}

/// A listening TCP socket.
pub trait Listener: Send + Unpin + 'static {
    /// What it accepts.
    type Stream: ByteStream;
    /// Where it listens.
    fn local_addr(&self) -> SocketAddr;
    /// The next connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A UDP socket.
pub trait Datagrams: Send + Sync + 'static {
    /// Where it is bound.
    fn local_addr(&self) -> SocketAddr;
    /// Sends one datagram; arrival is not promised.
    fn send_to(
        &self,
        bytes: &[u8],
        to: SocketAddr,
    ) -> impl Future<Output = io::Result<usize>> + Send;
    /// Receives one datagram; what does not fit is cut off.
    fn recv_from(
        &self,
        into: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;
}

/// A folder of files. Paths are relative to it, with `/`.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: File;
    /// Opens for reading and writing; creates an empty file first when it is absent and `create` is
    /// asked for.
    fn open(&self, path: &str, create: bool)
    -> impl Future<Output = io::Result<Self::File>> + Send;
    /// Creates a folder and those above it.
    fn create_dir_all(&self, path: &str) -> impl Future<Output = io::Result<()>> + Send;
    /// Names in a folder, sorted.
    fn read_dir(&self, path: &str) -> impl Future<Output = io::Result<Vec<String>>> + Send;
    /// Renames a file over whatever has the new name.
    fn rename(&self, from: &str, to: &str) -> impl Future<Output = io::Result<()>> + Send;
    /// Removes a file.
    fn remove(&self, path: &str) -> impl Future<Output = io::Result<()>> + Send;
    /// Makes the names in a folder durable. `""` is the root.
    fn sync_dir(&self, path: &str) -> impl Future<Output = io::Result<()>> + Send;

    /// Reads a whole file.
    fn read(&self, path: &str) -> impl Future<Output = io::Result<Vec<u8>>> + Send {
        async move {
            let file = self.open(path, false).await?;
            let mut bytes = vec![0; file.len().await? as usize];
            let mut filled = 0;
            while filled < bytes.len() {
                match file.read_at(filled as u64, &mut bytes[filled..]).await? {
                    0 => bytes.truncate(filled),
                    more => filled += more,
                }
            }
            Ok(bytes)
        }
    }

    /// Reads a whole file of somebody else's: the right to read it is enough. `FileTooLarge` when there
    /// is more than `limit`, bytes.
    fn read_at_most(
        &self,
        path: &str,
        limit: usize,
    ) -> impl Future<Output = io::Result<Vec<u8>>> + Send {
        async move {
            let bytes = self.read(path).await?;
            if bytes.len() > limit { Err(too_large(limit)) } else { Ok(bytes) }
        }
    }
}

/// What [`Disk::read_at_most`] fails with.
#[must_use]
pub fn too_large(limit: usize) -> io::Error {
    let text = format!("it holds more than {limit} bytes");
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

/// An open file.
#[expect(clippy::len_without_is_empty, reason = "a length that is asked for is a system call")]
pub trait File: Send + Sync + 'static {
    /// Reads from an offset; 0 at or after the end.
    fn read_at(
        &self,
        offset: u64,
        into: &mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send;
    /// Writes all of it at an offset, extending the file as needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
    /// Cuts or extends (with zeros).
    fn set_len(&self, len: u64) -> impl Future<Output = io::Result<()>> + Send;
    /// Length in bytes.
    fn len(&self) -> impl Future<Output = io::Result<u64>> + Send;
    /// Makes content and length durable.
    fn sync(&self) -> impl Future<Output = io::Result<()>> + Send;
    /// Sets who may read, write and execute it (`0o755`). A system without users keeps no modes.
    ///
    /// # Errors
    /// The system's.
    fn set_mode(&self, _mode: u32) -> io::Result<()> {
        Ok(())
    }
    /// Claims the file for this process for as long as it stays open; `WouldBlock` while another
    /// process has it. A system that runs one process per disk has nobody to keep out.
    ///
    /// # Errors
    /// `WouldBlock`, or the system's.
    fn try_lock(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Checks a path of a [`Disk`]: names joined by `/`, below the root. `""` is the root itself.
///
/// # Errors
/// `InvalidInput` for an absolute path and for empty, `.` and `..` components.
pub fn checked_path(path: &str) -> io::Result<&str> {
    let refused = |name: &str| matches!(name, "" | "." | "..") || name.contains('\0');
    if !path.is_empty() && path.split('/').any(refused) {
        let text = format!("{path:?} is not a path below the folder: plain names joined by /");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(path)
}

/// Reads some bytes; 0 is EOF.
///
/// # Errors
/// Those of the connection.
pub async fn read<S: ByteReader>(from: &mut S, into: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| from.poll_read(cx, into)).await
}

/// Fills the buffer. Not cancel-safe.
///
/// # Errors
/// `UnexpectedEof`, or those of the connection.
pub async fn read_exact<S: ByteReader>(from: &mut S, into: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < into.len() {
        match read(from, &mut into[filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => filled += more,
        }
    }
    Ok(())
}

/// Writes all of it.
///
/// # Errors
/// `WriteZero`, or those of the connection.
pub async fn write_all<S: ByteWriter>(to: &mut S, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match poll_fn(|cx| to.poll_write(cx, bytes)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            taken => bytes = &bytes[taken..],
        }
    }
    Ok(())
}

/// Ends the writing direction.
///
/// # Errors
/// Those of the connection.
pub async fn shutdown<S: ByteWriter>(stream: &mut S) -> io::Result<()> {
    poll_fn(|cx| stream.poll_shutdown(cx)).await
}

/// Polls two futures in this order, always: the first to be ready wins. The only select there is;
/// `tokio::select!` shuffles by a process-wide counter and is banned.
pub async fn first_of<A, B>(
    a: impl Future<Output = A>,
    b: impl Future<Output = B>,
) -> Either<A, B> {
    let mut a = pin!(a);
    let mut b = pin!(b);
    poll_fn(|cx: &mut Context<'_>| {
        if let Poll::Ready(done) = Pin::as_mut(&mut a).poll(cx) {
            return Poll::Ready(Either::First(done));
        }
        Pin::as_mut(&mut b).poll(cx).map(Either::Second)
    })
    .await
}

/// Which of two futures was ready.
#[derive(Debug)]
pub enum Either<A, B> {
    /// The one polled first.
    First(A),
    /// The other.
    Second(B),
}
