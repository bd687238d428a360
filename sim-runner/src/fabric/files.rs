//! The handles on a host's disk: the process' folder and files, and the testbed's own access.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proconsul::base::runtime::{Disk, File, checked_path};

use super::Fabric;
use super::ailments::{Operation, io_error, no_space};
use super::disk::{DiskImage, FileRef};
use super::observer::HostId;
use super::process::SimRuntime;
use super::world::locked;

/// The longest file; a write beyond it is the caller's mistake, not a reason to run out of memory.
const MAX_FILE_BYTES: u64 = 1 << 32;

/// A folder of a simulated disk.
#[derive(Clone)]
pub struct SimDisk {
    runtime: SimRuntime,
    image: Arc<Mutex<DiskImage>>,
    root: Arc<str>,
}

impl SimDisk {
    pub(super) fn new(runtime: &SimRuntime, image: Arc<Mutex<DiskImage>>, root: &Path) -> Self {
        let root = normal(&root.to_string_lossy());
        locked(&image).preinstall_folder(&root);
        Self { runtime: runtime.clone(), image, root: root.into() }
    }

    /// The absolute path, for a process that is alive.
    fn at(&self, path: &str) -> io::Result<String> {
        let path = checked_path(path)?;
        self.runtime.0.check_alive()?;
        Ok(match (&*self.root, path) {
            (root, "") => root.to_owned(),
            ("", path) => path.to_owned(),
            (root, path) => format!("{root}/{path}"),
        })
    }

    /// Waits as long as the operation takes, by true time; then it may fail.
    async fn perform(&self, operation: Operation, path: &str) -> io::Result<()> {
        let span = locked(&self.image).health.time(operation);
        if !span.is_zero() {
            self.runtime.0.fabric.sleep(span).await;
        }
        self.runtime.0.check_alive()?;
        if locked(&self.image).health.fails(operation) {
            self.struck("io-error", path, &format!("{operation:?}").to_lowercase());
            return Err(io_error());
        }
        Ok(())
    }

    /// Whether an fsync only says that it is done.
    fn lies(&self, path: &str) -> bool {
        let lies = locked(&self.image).health.faults.sync_lies;
        if lies {
            self.struck("fsync-lies", path, "");
        }
        lies
    }

    fn struck(&self, kind: &str, path: &str, detail: &str) {
        if let Ok(world) = self.runtime.0.open() {
            let (at, host) = (world.now(), self.runtime.0.host);
            world.observer.disk_struck(at, host, kind, &format!("/{path}"), detail);
        }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    async fn open(&self, path: &str, create: bool) -> io::Result<SimFile> {
        let path = self.at(path)?;
        let file = locked(&self.image).open(&path, create)?;
        Ok(SimFile { disk: self.clone(), file, path: path.into() })
    }

    async fn create_dir_all(&self, path: &str) -> io::Result<()> {
        locked(&self.image).create_folders(&self.at(path)?)
    }

    async fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        locked(&self.image).list(&self.at(path)?)
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        locked(&self.image).rename(&self.at(from)?, &self.at(to)?)
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        locked(&self.image).remove(&self.at(path)?)
    }

    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        let path = self.at(path)?;
        // Only what was asked for before the sync is promised by it.
        let among = locked(&self.image).names_so_far();
        self.perform(Operation::Sync, &path).await?;
        if self.lies(&path) {
            return Ok(());
        }
        locked(&self.image).sync_folder(&path, among)
    }
}

/// An open file of a simulated disk.
pub struct SimFile {
    disk: SimDisk,
    file: FileRef,
    /// As it was opened by.
    path: Arc<str>,
}

impl SimFile {
    fn check(&self, offset: u64, len: u64) -> io::Result<()> {
        self.disk.runtime.0.check_alive()?;
        if offset.saturating_add(len) > MAX_FILE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "simulated files end at 4 GiB",
            ));
        }
        Ok(())
    }

    /// How far the file may grow towards this length, when the disk is nearly full.
    fn room(&self, len: u64) -> u64 {
        let image = locked(&self.disk.image);
        let Some(limit) = image.health.limit() else { return len };
        let now = locked(&self.file).len();
        let free = limit.saturating_sub(image.used());
        if len > now.saturating_add(free) { now + free } else { len }
    }

    fn is_full(&self) -> io::Error {
        self.disk.struck("disk-full", &self.path, "");
        no_space()
    }
}

impl File for SimFile {
    async fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.perform(Operation::Read, &self.path).await?;
        Ok(locked(&self.file).read_at(offset, into))
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check(offset, bytes.len() as u64)?;
        self.disk.perform(Operation::Write, &self.path).await?;
        let end = offset + bytes.len() as u64;
        let room = self.room(end);
        if room >= end {
            locked(&self.file).write_at(offset, bytes);
            return Ok(());
        }
        // As the system does: what fits is written.
        let fits = room.saturating_sub(offset) as usize;
        if fits > 0 {
            locked(&self.file).write_at(offset, &bytes[..fits]);
        }
        Err(self.is_full())
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.check(0, len)?;
        self.disk.perform(Operation::Write, &self.path).await?;
        if self.room(len) < len {
            return Err(self.is_full());
        }
        locked(&self.file).set_len(len);
        Ok(())
    }

    async fn len(&self) -> io::Result<u64> {
        self.disk.runtime.0.check_alive()?;
        Ok(locked(&self.file).len())
    }

    async fn sync(&self) -> io::Result<()> {
        let changes = locked(&self.file).changes();
        if let Err(error) = self.disk.perform(Operation::Sync, &self.path).await {
            if self.disk.runtime.is_alive() {
                locked(&self.file).forget(changes);
            }
            return Err(error);
        }
        if !self.disk.lies(&self.path) {
            locked(&self.file).settle(changes);
        }
        Ok(())
    }
}

/// `/a//b/` as the disk knows it: `a/b`.
fn normal(path: &str) -> String {
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    names.join("/")
}

/// The testbed's own access to the disks, by absolute path. What it changes is durable at once.
impl Fabric {
    /// The content of a file, as a process would read it.
    #[must_use]
    pub fn read_file(&self, host: HostId, path: &str) -> Option<Vec<u8>> {
        let file = locked(&self.disk_of(host)).file(&normal(path)).ok()?;
        let file = locked(&file);
        let mut bytes = vec![0; file.len() as usize];
        file.read_at(0, &mut bytes);
        Some(bytes)
    }

    /// Replaces the content of a file; makes it and its folders when they are not there.
    ///
    /// # Errors
    /// When the path leads through a file or to a folder.
    pub fn write_file(&self, host: HostId, path: &str, bytes: &[u8]) -> io::Result<()> {
        locked(&self.disk_of(host)).install(&normal(path), bytes)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn remove_file(&self, host: HostId, path: &str) -> io::Result<()> {
        locked(&self.disk_of(host)).uninstall(&normal(path))
    }

    /// Every file of a host with its length, sorted by path.
    #[must_use]
    pub fn list_files(&self, host: HostId) -> Vec<(String, u64)> {
        locked(&self.disk_of(host)).files()
    }

    /// Removes a folder with all that is in it; how many files there were.
    pub fn remove_folder(&self, host: HostId, path: &str) -> usize {
        locked(&self.disk_of(host)).uninstall_folder(&normal(path))
    }
}
