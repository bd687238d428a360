//! Files that commands read and write, by the names that users give, with errors in Go's words.
//!
//! Deliberately not here: folders of configuration, and snapshots, which are verified.

use std::io;
use std::path::Path;

use crate::base::runtime::{Disk, Runtime};
use crate::cli::Terminal;

/// Folder and name of a path. A folder that is to be synced must have a name.
pub(super) fn place(file: &str) -> (&Path, String) {
    let path = Path::new(file);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    (folder.unwrap_or(Path::new(".")), name)
}

/// Why something failed, as Go's `syscall.Errno` tells it.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => "connection timed out".to_owned(),
        _ => error.to_string(),
    }
}

/// A whole file.
pub(super) async fn read<R: Runtime>(runtime: &R, file: &str) -> Result<Vec<u8>, String> {
    let (folder, name) = place(file);
    let read = runtime.disk(folder).read(&name).await;
    read.map_err(|error| format!("open {file}: {}", reason(&error)))
}

/// What an argument stands for: itself, the file that it names (`@file`), or standard input (`-`).
pub(super) async fn data<R: Runtime>(
    runtime: &R,
    argument: &str,
    terminal: &mut Terminal<'_>,
) -> Result<Vec<u8>, String> {
    if argument == "-" {
        let mut bytes = Vec::new();
        return match terminal.stdin.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(format!("Failed to read stdin: {error}")),
        };
    }
    match argument.strip_prefix('@') {
        None => Ok(argument.as_bytes().to_vec()),
        Some(file) => {
            read(runtime, file).await.map_err(|why| format!("Failed to read file: {why}"))
        }
    }
}
