//! The shipped form of [`Runtime`]: Linux through tokio. The only place in the agent that names
//! tokio's net, time, process and signal modules, the system's clocks, or its entropy.
//!
//! ```text
//!   sockets   tokio::net, NODELAY            files   std::fs: pread and pwrite inline,
//!   timers    one reset-able Sleep each              fsync on tokio's blocking threads
//!   children  tokio::process, one pipe       logs    one line, one write: standard error, a file
//! ```
//!
//! Reads and writes of files do not leave the task: they go to the page cache and are over in
//! microseconds, less than a trip to another thread. An fsync takes milliseconds and does leave it.
//!
//! Not here: any decision of the agent. The same behaviour suite runs against this and against the
//! testbed's simulated form.

mod attached;
mod child;
mod disk;
mod log;
mod machine;
mod net;

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::io::{self, IsTerminal};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::Mutex;
use tokio::time::Sleep;

use crate::base::attached::{AttachedChild, AttachedCommand};
use crate::base::log_settings::LogSettings;
use crate::base::log_tap::{LogLine, LogTaps};
use crate::base::machine::{Machine, Usage};
use crate::base::runtime::{ChildCommand, ChildExit, Level, Runtime, Signal, Task, Timer};
use crate::base::time::{Duration, Instant, WallTime};

use self::log::Sink;
pub use child::OUTPUT_LIMIT_BYTES;
pub use disk::{TokioDisk, TokioFile};
pub use net::{TokioDatagrams, TokioListener, TokioReader, TokioStream, TokioWriter};

/// Linux, through tokio. Clones are the same runtime.
#[derive(Clone)]
pub struct TokioRuntime {
    shared: Arc<Shared>,
}

struct Shared {
    executor: Handle,
    started: std::time::Instant,
    level: AtomicU8,
    taps: LogTaps,
    sink: Sink,
    /// Installed when first waited for, so that commands that never do keep the default actions.
    signals: Mutex<Option<Signals>>,
}

struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl TokioRuntime {
    /// Runs a future on a multi-threaded executor until it is done. Log lines below `level` are
    /// dropped. Tasks that are still running then are dropped at their next await point.
    ///
    /// # Errors
    /// When the system has no threads or descriptors left for an executor.
    pub fn run<T, F>(level: Level, main: impl FnOnce(TokioRuntime) -> F) -> io::Result<T>
    where
        F: Future<Output = T>,
    {
        let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let runtime = TokioRuntime {
            shared: Arc::new(Shared {
                executor: executor.handle().clone(),
                started: monotonic(),
                level: AtomicU8::new(level as u8),
                taps: LogTaps::default(),
                sink: Sink::default(),
                signals: Mutex::new(None),
            }),
        };
        Ok(executor.block_on(main(runtime)))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the agent's monotonic clock")]
fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}

impl Runtime for TokioRuntime {
    type Stream = TokioStream;
    type Listener = TokioListener;
    type Datagrams = TokioDatagrams;
    type Disk = TokioDisk;
    type Timer = TokioTimer;
    type Task = TokioTask;

    fn now(&self) -> Instant {
        let passed = monotonic().saturating_duration_since(self.shared.started);
        Instant::ZERO + passed
    }

    #[expect(clippy::disallowed_methods, reason = "this is the agent's wall clock")]
    fn wall_clock(&self) -> WallTime {
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        WallTime(match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => nanos(since),
            Err(before) => -nanos(before.duration()),
        })
    }

    fn timer(&self) -> TokioTimer {
        TokioTimer { shared: self.shared.clone(), deadline: None, sleep: None, waiting: None }
    }

    fn spawn(
        &self,
        _name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> TokioTask {
        TokioTask(self.shared.executor.spawn(task).abort_handle())
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TokioStream> {
        TokioStream::connect(to).await
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<TokioStream> {
        TokioStream::connect_unix(path).await
    }

    async fn listen(&self, at: SocketAddr) -> io::Result<TokioListener> {
        TokioListener::bind(at).await
    }

    async fn bind_datagrams(&self, at: SocketAddr) -> io::Result<TokioDatagrams> {
        TokioDatagrams::bind(at).await
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        net::resolve(host).await
    }

    fn disk(&self, root: &Path) -> TokioDisk {
        TokioDisk::new(root)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the agent's entropy")]
    fn entropy(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system's entropy source does not fail once it works");
    }

    fn log(&self, level: Level, module: &str, message: fmt::Arguments<'_>) {
        let shown = level as u8 >= self.shared.level.load(Ordering::Relaxed);
        if !shown && !self.shared.taps.has_listeners() {
            return;
        }
        let (module, text) = (module.to_owned(), message.to_string());
        let line = LogLine { at: self.wall_clock(), level, module, text };
        if shown {
            self.shared.sink.write(&line);
        }
        self.shared.taps.publish(&line);
    }

    fn set_log_level(&self, level: Level) {
        self.shared.level.store(level as u8, Ordering::Relaxed);
    }

    fn open_log(&self, settings: &LogSettings) -> io::Result<()> {
        self.shared.sink.open(settings, self.wall_clock())
    }

    fn log_taps(&self) -> &LogTaps {
        &self.shared.taps
    }

    fn process_id(&self) -> u32 {
        std::process::id()
    }

    fn usage(&self) -> Usage {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Usage {
            tasks: self.shared.executor.metrics().num_alive_tasks() as u64,
            memory_bytes: machine::memory_held(),
            processors: processors as u64,
        }
    }

    fn machine(&self) -> Machine {
        machine::look()
    }

    async fn signal(&self) -> Signal {
        let mut installed = self.shared.signals.lock().await;
        if installed.is_none() {
            *installed = Signals::install().ok();
        }
        match &mut *installed {
            Some(signals) => signals.next().await,
            None => pending().await,
        }
    }

    async fn run_child(&self, command: ChildCommand) -> io::Result<ChildExit> {
        child::run(command).await
    }

    fn start_attached(&self, command: AttachedCommand) -> io::Result<Box<dyn AttachedChild>> {
        attached::start(command)
    }

    fn is_watched(&self) -> bool {
        io::stderr().is_terminal()
    }
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            for (source, signal) in [
                (&mut self.terminate, Signal::Terminate),
                (&mut self.interrupt, Signal::Interrupt),
                (&mut self.hangup, Signal::Hangup),
            ] {
                if source.poll_recv(cx).is_ready() {
                    return Poll::Ready(signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// A timer over one `Sleep` that is moved. It fires up to a millisecond late: tokio's grain.
pub struct TokioTimer {
    shared: Arc<Shared>,
    deadline: Option<Instant>,
    /// Made at the first wait, since it needs a running executor.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Who waits while no deadline is set; a set deadline has to reach them.
    waiting: Option<std::task::Waker>,
}

impl Timer for TokioTimer {
    fn set(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
        let Some(at) = deadline else {
            return;
        };
        // A pending sleep keeps its waker over a reset, and one that has elapsed has woken its task.
        if let Some(sleep) = &mut self.sleep {
            sleep.as_mut().reset(instant(&self.shared, at));
        }
        // Only who waited for no deadline at all is not known to the sleep. Waking anybody else would
        // make a task that sets its timer on each poll wake itself for ever.
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    fn poll_fired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let shared = &self.shared;
        let sleep = self.sleep.get_or_insert_with(|| {
            let _executor = shared.executor.enter();
            Box::pin(tokio::time::sleep_until(instant(shared, deadline)))
        });
        if sleep.as_mut().poll(cx).is_ready() {
            self.deadline = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

fn instant(shared: &Shared, at: Instant) -> tokio::time::Instant {
    // Thirty years are enough for "never", and far from the end of the system's clock.
    let span = at.since(Instant::ZERO).min(Duration::from_secs(30 * 365 * 86_400));
    (shared.started + span).into()
}

/// A task on tokio's executor.
pub struct TokioTask(tokio::task::AbortHandle);

impl Task for TokioTask {
    fn abort(&self) {
        self.0.abort();
    }
}
