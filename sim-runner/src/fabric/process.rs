//! One life of one process on a host, and the [`Runtime`] it sees.
//!
//! A process is a madsim node of its own: killing it drops its tasks, pausing it parks them. Its end
//! is first written down here (`alive`), and only then does madsim drop the tasks, so that what their
//! `Drop` code tries to send is void: [`Process::open`] is the one gate to the world.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use madsim::runtime::NodeHandle;
use madsim::task::AbortHandle;
use proconsul::base::log_tap::{LogLine, LogTaps};
use proconsul::base::machine::{Machine, Usage};
use proconsul::base::runtime::{ChildCommand, ChildExit, Level, Runtime, Signal, Task};
use proconsul::base::{Instant, Prng, WallTime};

use super::Fabric;
use super::clock::NodeClock;
use super::files::SimDisk;
use super::observer::{Ended, HostId};
use super::simulate::panic_text;
use super::stream::{SimListener, SimStream};
use super::timer::SimTimer;
use super::udp::SimDatagrams;
use super::world::{World, locked};

/// What every wall clock shows at the start of a simulation: 2026-01-01T00:00:00Z.
pub const WALL_CLOCK_START: WallTime = WallTime(1_767_225_600_000_000_000);

/// One life of one process.
pub(super) struct Process {
    pub fabric: Fabric,
    pub host: HostId,
    pub node: NodeHandle,
    pub alive: AtomicBool,
    started_ns: u64,
    /// The machine's clock, and what it showed when the process started.
    clock: Arc<NodeClock>,
    local_start_ns: u64,
    entropy: Mutex<Prng>,
    taps: LogTaps,
}

impl Process {
    pub fn new(
        fabric: &Fabric,
        host: HostId,
        node: NodeHandle,
        clock: Arc<NodeClock>,
        entropy: Prng,
    ) -> Self {
        let started_ns = fabric.now().as_nanos();
        Self {
            fabric: fabric.clone(),
            host,
            node,
            alive: AtomicBool::new(true),
            started_ns,
            local_start_ns: clock.local_ns(started_ns),
            clock,
            entropy: Mutex::new(entropy),
            taps: LogTaps::default(),
        }
    }

    /// The world, for a process that is alive.
    pub fn open(&self) -> io::Result<MutexGuard<'_, World>> {
        self.check_alive()?;
        Ok(self.fabric.lock())
    }

    pub fn check_alive(&self) -> io::Result<()> {
        if self.is_alive() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::NotConnected, "this process has ended"))
        }
    }

    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

/// The operating system as one simulated process sees it.
#[derive(Clone)]
pub struct SimRuntime(pub(super) Arc<Process>);

impl SimRuntime {
    /// The host that it runs on.
    #[must_use]
    pub fn host(&self) -> HostId {
        self.0.host
    }

    /// When its monotonic clock read zero, on the fabric's clock.
    #[must_use]
    pub fn started_at(&self) -> Instant {
        Instant::from_nanos(self.0.started_ns)
    }

    /// Whether the process is still running. Its tasks never see `false`, but a [`SimRuntime`] may
    /// outlive its process in the hands of the testbed.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// Runs a task; a panic ends the process, not the simulation.
    pub(super) fn spawn_guarded(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Option<AbortHandle> {
        if !self.is_alive() {
            return None;
        }
        let runtime = self.clone();
        let guarded = async move {
            let mut task = pin!(task);
            poll_fn(|cx| {
                let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx)));
                polled.unwrap_or_else(|payload| {
                    let detail = format!("task `{name}`: {}", panic_text(&*payload));
                    runtime.0.fabric.end_process(&runtime.0, Ended::Panicked, &detail);
                    Poll::Ready(())
                })
            })
            .await;
        };
        Some(self.0.node.spawn(guarded).abort_handle())
    }
}

impl Runtime for SimRuntime {
    type Stream = SimStream;
    type Listener = SimListener;
    type Datagrams = SimDatagrams;
    type Disk = SimDisk;
    type Timer = SimTimer;
    type Task = SimTask;

    fn now(&self) -> Instant {
        let local_ns = self.0.clock.local_ns(self.0.fabric.now().as_nanos());
        Instant::from_nanos(local_ns - self.0.local_start_ns)
    }

    fn wall_clock(&self) -> WallTime {
        let ahead_ns = self.0.clock.wall_ns(self.0.fabric.now().as_nanos());
        WallTime(WALL_CLOCK_START.0.saturating_add(ahead_ns))
    }

    fn timer(&self) -> SimTimer {
        SimTimer::new(&self.0.fabric, self.0.clock.clone(), self.0.local_start_ns)
    }

    fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> SimTask {
        SimTask(self.spawn_guarded(name, task))
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<SimStream> {
        SimStream::connect(&self.0, to).await
    }

    async fn listen(&self, at: SocketAddr) -> io::Result<SimListener> {
        SimListener::bind(&self.0, at)
    }

    async fn bind_datagrams(&self, at: SocketAddr) -> io::Result<SimDatagrams> {
        SimDatagrams::bind(&self.0, at)
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(literal) = host.parse() {
            return Ok(vec![literal]);
        }
        if host == "localhost" {
            return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
        }
        let world = self.0.open()?;
        let here = world.host(self.0.host);
        let found = world.by_name.get(host).filter(|_| !here.lookups_fail);
        let unknown = || {
            let text = format!("lookup {host} on {}: no such host", here.name);
            io::Error::new(io::ErrorKind::NotFound, text)
        };
        found.map(|id| vec![world.host(*id).ip]).ok_or_else(unknown)
    }

    fn disk(&self, root: &Path) -> SimDisk {
        let image = self.0.fabric.lock().host(self.0.host).disk.clone();
        SimDisk::new(self, image, root)
    }

    fn entropy(&self, bytes: &mut [u8]) {
        locked(&self.0.entropy).fill(bytes);
    }

    fn log(&self, level: Level, module: &str, message: fmt::Arguments<'_>) {
        if let Ok(world) = self.0.open() {
            world.observer.log(world.now(), self.0.host, level, module, message);
        } else {
            return;
        }
        if self.0.taps.has_listeners() {
            let (module, text) = (module.to_owned(), message.to_string());
            self.0.taps.publish(&LogLine { at: self.wall_clock(), level, module, text });
        }
    }

    fn log_taps(&self) -> &LogTaps {
        &self.0.taps
    }

    /// Simulated processes have no memory of their own to speak of.
    fn usage(&self) -> Usage {
        Usage { processors: 1, ..Usage::default() }
    }

    fn machine(&self) -> Machine {
        let hostname = self.0.fabric.lock().host(self.0.host).name.clone();
        let uptime_s = self.now().as_nanos() / 1_000_000_000;
        let booted_s = u64::try_from(WALL_CLOCK_START.0 / 1_000_000_000).unwrap_or(0);
        let processors = vec![[("processor".to_owned(), "0".to_owned())].into()];
        Machine { hostname, uptime_s, booted_s, processors, ..Machine::default() }
    }

    async fn signal(&self) -> Signal {
        poll_fn(|cx| {
            let Ok(mut world) = self.0.open() else {
                return Poll::Pending;
            };
            let host = world.host_mut(self.0.host);
            match host.signals.pop_front() {
                Some(signal) => Poll::Ready(signal),
                None => {
                    host.signal_waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    async fn run_child(&self, command: ChildCommand) -> io::Result<ChildExit> {
        let program = command.argv.first().map_or("", String::as_str);
        let text = format!("{program}: a simulated host has no programs");
        Err(io::Error::new(io::ErrorKind::NotFound, text))
    }
}

/// A task of a simulated process; none when the process had ended before it was spawned.
pub struct SimTask(Option<AbortHandle>);

impl Task for SimTask {
    fn abort(&self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
