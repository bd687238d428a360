//! Log lines in Consul's form or as JSON, on standard error and in a file that is put away when it is full
//! or old ([`log_settings`](crate::base::log_settings) decides when).
//!
//! A line that cannot be written is lost: there is nowhere to complain. A file that cannot be begun at the
//! start is an error; one that cannot be begun later costs lines until it can, and is tried at each.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, PoisonError};

use crate::base::log_json::as_json;
use crate::base::log_settings::{LogFileSettings, LogSettings, Written};
use crate::base::log_tap::LogLine;
use crate::base::time::WallTime;

/// Its owner writes, its group reads, as with Consul.
const MODE: u32 = 0o640;

/// Where this process's lines go.
#[derive(Default)]
pub(super) struct Sink(Mutex<Target>);

#[derive(Default)]
struct Target {
    json: bool,
    file: Option<LogFile>,
}

impl Sink {
    /// From now on like this.
    pub fn open(&self, settings: &LogSettings, now: WallTime) -> io::Result<()> {
        let file =
            settings.file.clone().map(|settings| LogFile::begin(settings, now)).transpose()?;
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *target = Target { json: settings.json, file };
        Ok(())
    }

    /// Writes one line, in one piece.
    pub fn write(&self, line: &LogLine) {
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if target.json { as_json(line) + "\n" } else { format!("{line}\n") };
        let _unwritable = io::stderr().lock().write_all(text.as_bytes());
        if let Some(file) = &mut target.file {
            let _unwritable = file.write(line.at, text.as_bytes());
        }
    }
}

/// The file that is written to; none while it cannot be begun.
struct LogFile {
    settings: LogFileSettings,
    file: Option<(File, Written)>,
}

impl LogFile {
    fn begin(settings: LogFileSettings, now: WallTime) -> io::Result<Self> {
        let mut it = Self { settings, file: None };
        it.next(now)?;
        Ok(it)
    }

    fn write(&mut self, now: WallTime, bytes: &[u8]) -> io::Result<()> {
        let is_due = |(_, written): &(File, Written)| self.settings.is_due(*written, now);
        if self.file.as_ref().is_none_or(is_due) {
            self.next(now)?;
        }
        let Some((file, written)) = &mut self.file else { return Ok(()) };
        written.bytes += bytes.len() as u64;
        file.write_all(bytes)
    }

    /// Removes what is too much, and begins a file.
    fn next(&mut self, now: WallTime) -> io::Result<()> {
        self.file = None;
        let folder = &self.settings.folder;
        let about = |path: &std::path::Path| {
            let path = path.display().to_string();
            move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(about(folder))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        for name in self.settings.surplus(&names) {
            let path = folder.join(name);
            fs::remove_file(&path).map_err(about(&path))?;
        }
        let path = folder.join(self.settings.file_name(now));
        let mut options = File::options();
        let file =
            options.append(true).create(true).mode(MODE).open(&path).map_err(about(&path))?;
        self.file = Some((file, Written { since: now, bytes: 0 }));
        Ok(())
    }
}
