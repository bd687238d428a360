//! Files below a folder, on the real disk. Errors name the path.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::runtime::{Disk, File, checked_path, too_large};

/// A folder of files.
#[derive(Clone)]
pub struct TokioDisk {
    root: Arc<Path>,
}

impl TokioDisk {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    fn at(&self, path: &str) -> io::Result<PathBuf> {
        let path = checked_path(path)?;
        Ok(if path.is_empty() { self.root.to_path_buf() } else { self.root.join(path) })
    }
}

/// Says which path an error is about.
fn about(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Runs what waits for the disk on a thread where waiting is cheap.
async fn waiting_for_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

impl Disk for TokioDisk {
    type File = TokioFile;

    async fn open(&self, path: &str, create: bool) -> io::Result<TokioFile> {
        let path: Arc<Path> = self.at(path)?.into();
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(create).truncate(false);
        let file = options.open(&path).map_err(about(&path))?;
        Ok(TokioFile { file: Arc::new(file), path })
    }

    async fn create_dir_all(&self, path: &str) -> io::Result<()> {
        let path = self.at(path)?;
        fs::create_dir_all(&path).map_err(about(&path))
    }

    async fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        let path = self.at(path)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(about(&path))? {
            names.push(entry.map_err(about(&path))?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.at(from)?, self.at(to)?);
        fs::rename(&from, &to).map_err(about(&from))
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        let path = self.at(path)?;
        fs::remove_file(&path).map_err(about(&path))
    }

    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        let path = self.at(path)?;
        waiting_for_disk(move || {
            fs::File::open(&path).and_then(|folder| folder.sync_all()).map_err(about(&path))
        })
        .await
    }

    async fn read_at_most(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let path = self.at(path)?;
        waiting_for_disk(move || {
            let mut bytes = Vec::new();
            // The length is not asked for: files of /proc say 0, and a pipe has none.
            let file = fs::File::open(&path).map_err(about(&path))?;
            file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(about(&path))?;
            if bytes.len() > limit { Err(about(&path)(too_large(limit))) } else { Ok(bytes) }
        })
        .await
    }
}

/// An open file.
pub struct TokioFile {
    file: Arc<fs::File>,
    path: Arc<Path>,
}

impl File for TokioFile {
    async fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(into, offset).map_err(about(&self.path))
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset).map_err(about(&self.path))
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len).map_err(about(&self.path))
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata().map_err(about(&self.path))?.len())
    }

    async fn sync(&self) -> io::Result<()> {
        let (file, path) = (self.file.clone(), self.path.clone());
        // fdatasync: times are not written, a length that changed is.
        waiting_for_disk(move || file.sync_data().map_err(about(&path))).await
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let mode = fs::Permissions::from_mode(mode);
        self.file.set_permissions(mode).map_err(about(&self.path))
    }

    fn try_lock(&self) -> io::Result<()> {
        self.file.try_lock().map_err(io::Error::from).map_err(about(&self.path))
    }
}
