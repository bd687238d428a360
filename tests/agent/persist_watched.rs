//! A disk that tells of every operation that changes something, before it happens, and can be cut off
//! from power at one of them. Around any disk; the testbed's tests use this file too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proconsul::base::runtime::{Disk, File};

/// Told the number of each operation, from 0; whether it happens.
pub type Watcher = Arc<dyn Fn(usize) -> bool + Send + Sync>;

#[derive(Clone)]
pub struct Watched<D> {
    inner: D,
    operations: Arc<AtomicUsize>,
    watcher: Watcher,
}

impl<D: Disk> Watched<D> {
    pub fn new(inner: D, watcher: Watcher) -> Self {
        Self { inner, operations: Arc::default(), watcher }
    }

    /// How many operations there were, or were tried.
    pub fn operations(&self) -> usize {
        self.operations.load(Ordering::SeqCst)
    }

    fn ask(&self) -> io::Result<()> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        let happens = (self.watcher)(number);
        happens.then_some(()).ok_or_else(|| io::Error::other("the power is gone"))
    }
}

pub struct WatchedFile<D: Disk> {
    disk: Watched<D>,
    inner: D::File,
}

impl<D: Disk> Disk for Watched<D> {
    type File = WatchedFile<D>;

    async fn open(&self, path: &str, create: bool) -> io::Result<WatchedFile<D>> {
        if create && self.inner.open(path, false).await.is_err() {
            self.ask()?;
        }
        Ok(WatchedFile { disk: self.clone(), inner: self.inner.open(path, create).await? })
    }

    async fn create_dir_all(&self, path: &str) -> io::Result<()> {
        self.ask()?;
        self.inner.create_dir_all(path).await
    }

    async fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        self.inner.read_dir(path).await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.ask()?;
        self.inner.rename(from, to).await
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        self.ask()?;
        self.inner.remove(path).await
    }

    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.ask()?;
        self.inner.sync_dir(path).await
    }
}

impl<D: Disk> File for WatchedFile<D> {
    async fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, into).await
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.ask()?;
        self.inner.write_at(offset, bytes).await
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.ask()?;
        self.inner.set_len(len).await
    }

    async fn len(&self) -> io::Result<u64> {
        self.inner.len().await
    }

    async fn sync(&self) -> io::Result<()> {
        self.disk.ask()?;
        self.inner.sync().await
    }
}
