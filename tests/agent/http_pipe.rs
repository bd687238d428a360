//! A runtime for tests of the front ends: connections are pipes in memory that lead to one router,
//! files are a map, and time stands still until a test moves it. One thread; nothing waits for real.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use proconsul::base::log_tap::LogTaps;
use proconsul::base::machine::{Machine, Usage};
use proconsul::base::runtime::{
    ByteReader, ByteStream, ByteWriter, ChildCommand, ChildExit, Datagrams, Disk, File, Level,
    Listener, Runtime, Signal, Task, Timer,
};
use proconsul::base::{Duration, Instant, WallTime};
use proconsul::http::serve;

use crate::http_store::settle;

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The runtime. Its tasks run when [`World::turn`] is called.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    now: u64,
    tasks: Vec<Work>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    router: Option<Router>,
    log: Vec<String>,
}

/// Nobody listens to a test's lines.
static TAPS: std::sync::LazyLock<LogTaps> = std::sync::LazyLock::new(LogTaps::default);

impl World {
    fn inner<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().expect("no test panics while it holds this"))
    }

    /// Connections to any address reach this router.
    pub fn serve(&self, router: Router) {
        self.inner(|inner| inner.router = Some(router));
    }

    pub fn put_file(&self, path: &str, text: &str) {
        self.inner(|inner| inner.files.insert(path.into(), text.as_bytes().to_vec()));
    }

    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.inner(|inner| inner.files.get(Path::new(path)).cloned())
    }

    pub fn log_lines(&self) -> Vec<String> {
        self.inner(|inner| inner.log.clone())
    }

    /// Time passes.
    pub fn advance(&self, span: Duration) {
        self.inner(|inner| inner.now += span.as_nanos() as u64);
    }

    /// Lets every task run until it waits.
    pub fn turn(&self) {
        let mut tasks = self.inner(|inner| std::mem::take(&mut inner.tasks));
        tasks.retain_mut(|task| settle(task).is_pending());
        self.inner(|inner| inner.tasks.append(&mut tasks));
    }

    /// Runs a future and all tasks until it is ready.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        for _ in 0..10_000 {
            if let Poll::Ready(done) = settle(&mut future) {
                return done;
            }
            self.turn();
        }
        panic!("the future waits for ever");
    }

    /// A connection whose other end is served by the router.
    pub fn dial(&self) -> Pipe {
        let (near, far) = pipe();
        let router = self.inner(|inner| inner.router.clone()).expect("a router was given");
        let own = self.clone();
        self.spawn("http", async move { serve(&own, far, router).await });
        near
    }
}

/// Bytes on their way in one direction.
#[derive(Default)]
struct Lane {
    bytes: Vec<u8>,
    closed: bool,
}

/// One end of a connection. A lane takes 64 KiB until it is read.
pub struct Pipe {
    incoming: Arc<Mutex<Lane>>,
    outgoing: Arc<Mutex<Lane>>,
}

pub fn pipe() -> (Pipe, Pipe) {
    let (a, b): (Arc<Mutex<Lane>>, Arc<Mutex<Lane>>) = Default::default();
    (Pipe { incoming: a.clone(), outgoing: b.clone() }, Pipe { incoming: b, outgoing: a })
}

const WINDOW: usize = 64 * 1024;

impl ByteReader for Pipe {
    fn poll_read(&mut self, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut lane = self.incoming.lock().expect("not poisoned");
        let take = lane.bytes.len().min(into.len());
        if take == 0 && !lane.closed {
            return Poll::Pending;
        }
        into[..take].copy_from_slice(&lane.bytes[..take]);
        lane.bytes.drain(..take);
        Poll::Ready(Ok(take))
    }
}

impl ByteWriter for Pipe {
    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut lane = self.outgoing.lock().expect("not poisoned");
        if lane.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let take = bytes.len().min(WINDOW - lane.bytes.len());
        if take == 0 && !bytes.is_empty() {
            return Poll::Pending;
        }
        lane.bytes.extend_from_slice(&bytes[..take]);
        Poll::Ready(Ok(take))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.lock().expect("not poisoned").closed = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for lane in [&self.incoming, &self.outgoing] {
            lane.lock().expect("not poisoned").closed = true;
        }
    }
}

impl ByteStream for Pipe {
    type Reader = Pipe;
    type Writer = Pipe;

    fn local_addr(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_000)
    }

    fn peer_addr(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8500)
    }

    fn split(self) -> (Pipe, Pipe) {
        unreachable!("HTTP connections are not taken apart")
    }
}

pub struct Clock {
    world: World,
    deadline: Option<Instant>,
}

impl Timer for Clock {
    fn set(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    fn poll_fired(&mut self, _: &mut Context<'_>) -> Poll<()> {
        match self.deadline {
            Some(deadline) if deadline <= self.world.now() => {
                self.deadline = None;
                Poll::Ready(())
            }
            _ => Poll::Pending,
        }
    }
}

pub struct Running;

impl Task for Running {
    fn abort(&self) {}
}

pub struct NoListener;

impl Listener for NoListener {
    type Stream = Pipe;

    fn local_addr(&self) -> SocketAddr {
        unreachable!("nothing listens here")
    }

    async fn accept(&mut self) -> io::Result<Pipe> {
        pending().await
    }
}

pub struct NoDatagrams;

impl Datagrams for NoDatagrams {
    fn local_addr(&self) -> SocketAddr {
        unreachable!("no datagrams here")
    }

    async fn send_to(&self, _: &[u8], _: SocketAddr) -> io::Result<usize> {
        pending().await
    }

    async fn recv_from(&self, _: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        pending().await
    }
}

#[derive(Clone)]
pub struct Folder {
    world: World,
    root: PathBuf,
}

pub struct OpenFile {
    world: World,
    path: PathBuf,
}

impl Disk for Folder {
    type File = OpenFile;

    async fn open(&self, path: &str, create: bool) -> io::Result<OpenFile> {
        let path = self.root.join(path);
        self.world.inner(|inner| {
            if create {
                inner.files.entry(path.clone()).or_default();
            }
            match inner.files.contains_key(&path) {
                true => Ok(OpenFile { world: self.world.clone(), path }),
                false => Err(io::ErrorKind::NotFound.into()),
            }
        })
    }

    async fn create_dir_all(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    async fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        let folder = self.root.join(path);
        // Components alone count: joining nothing leaves a slash behind.
        let is_file = |inner: &mut Inner| inner.files.keys().any(|file| *file == folder);
        if self.world.inner(is_file) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let names: Vec<String> = self.world.inner(|inner| {
            let inside = inner.files.keys().filter_map(|file| file.strip_prefix(&folder).ok());
            inside.map(|name| name.display().to_string()).collect()
        });
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.root.join(from), self.root.join(to));
        self.world.inner(|inner| {
            let moved = inner.files.remove(&from).ok_or(io::ErrorKind::NotFound)?;
            inner.files.insert(to, moved);
            Ok(())
        })
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        let removed = self.world.inner(|inner| inner.files.remove(&self.root.join(path)));
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn sync_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

impl OpenFile {
    fn with<T>(&self, look: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.world.inner(|inner| look(inner.files.get_mut(&self.path).expect("it was opened")))
    }
}

impl File for OpenFile {
    async fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        Ok(self.with(|bytes| {
            let rest = &bytes[(offset as usize).min(bytes.len())..];
            let take = rest.len().min(into.len());
            into[..take].copy_from_slice(&rest[..take]);
            take
        }))
    }

    async fn write_at(&self, offset: u64, new: &[u8]) -> io::Result<()> {
        self.with(|bytes| {
            bytes.truncate(offset as usize);
            bytes.extend_from_slice(new);
        });
        Ok(())
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|bytes| bytes.resize(len as usize, 0));
        Ok(())
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.with(|bytes| bytes.len() as u64))
    }

    async fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Runtime for World {
    type Stream = Pipe;
    type Listener = NoListener;
    type Datagrams = NoDatagrams;
    type Disk = Folder;
    type Timer = Clock;
    type Task = Running;

    fn now(&self) -> Instant {
        Instant::from_nanos(self.inner(|inner| inner.now))
    }

    fn wall_clock(&self) -> WallTime {
        WallTime(784_111_777_000_000_000 + self.inner(|inner| inner.now) as i64)
    }

    fn timer(&self) -> Clock {
        Clock { world: self.clone(), deadline: None }
    }

    fn spawn(&self, _: &'static str, task: impl Future<Output = ()> + Send + 'static) -> Running {
        self.inner(|inner| inner.tasks.push(Box::pin(task)));
        Running
    }

    async fn connect(&self, _: SocketAddr) -> io::Result<Pipe> {
        match self.inner(|inner| inner.router.is_some()) {
            true => Ok(self.dial()),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    async fn listen(&self, _: SocketAddr) -> io::Result<NoListener> {
        Ok(NoListener)
    }

    async fn bind_datagrams(&self, _: SocketAddr) -> io::Result<NoDatagrams> {
        Ok(NoDatagrams)
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        match host.parse() {
            Ok(ip) => Ok(vec![ip]),
            Err(_) if host == "localhost" => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
            Err(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn disk(&self, root: &Path) -> Folder {
        let root = root.strip_prefix(".").unwrap_or(root).to_owned();
        Folder { world: self.clone(), root }
    }

    fn entropy(&self, bytes: &mut [u8]) {
        bytes.fill(0xa5);
    }

    fn log(&self, level: Level, module: &str, message: fmt::Arguments<'_>) {
        self.inner(|inner| inner.log.push(format!("{level:?} {module}: {message}")));
    }

    fn log_taps(&self) -> &LogTaps {
        &TAPS
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn machine(&self) -> Machine {
        Machine::default()
    }

    async fn signal(&self) -> Signal {
        pending().await
    }

    async fn run_child(&self, _: ChildCommand) -> io::Result<ChildExit> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
