//! The handles on a host's disk: the process' folder and files, and the testbed's own access.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proconsul::base::runtime::{Disk, File, Runtime, checked_path};

use super::Fabric;
use super::disk::{DiskImage, FileRef};
use super::observer::HostId;
use super::policy::DiskPolicy;
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

    /// Waits as long as a sync takes.
    async fn sync_time(&self) -> io::Result<()> {
        let span = locked(&self.image).sync_time();
        self.runtime.sleep(span).await;
        self.runtime.0.check_alive()?;
        Ok(())
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    async fn open(&self, path: &str, create: bool) -> io::Result<SimFile> {
        let file = locked(&self.image).open(&self.at(path)?, create)?;
        Ok(SimFile { disk: self.clone(), file })
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
        self.sync_time().await?;
        locked(&self.image).sync_folder(&path, among)
    }
}

/// An open file of a simulated disk.
pub struct SimFile {
    disk: SimDisk,
    file: FileRef,
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
}

impl File for SimFile {
    async fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.runtime.0.check_alive()?;
        Ok(locked(&self.file).read_at(offset, into))
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check(offset, bytes.len() as u64)?;
        locked(&self.file).write_at(offset, bytes);
        Ok(())
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.check(0, len)?;
        locked(&self.file).set_len(len);
        Ok(())
    }

    async fn len(&self) -> io::Result<u64> {
        self.disk.runtime.0.check_alive()?;
        Ok(locked(&self.file).len())
    }

    async fn sync(&self) -> io::Result<()> {
        let changes = locked(&self.file).changes();
        self.disk.sync_time().await?;
        locked(&self.file).settle(changes);
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

    /// Sets how a host's disk behaves.
    pub fn set_disk(&self, host: HostId, policy: DiskPolicy) {
        locked(&self.disk_of(host)).set_policy(policy);
    }

    fn disk_of(&self, host: HostId) -> Arc<Mutex<DiskImage>> {
        self.lock().host(host).disk.clone()
    }
}
