//! How log lines are shown and kept (spec api 5.3, 6.2). `log_level` is among the settings of the agent.

use std::path::PathBuf;

use crate::base::Duration;
use crate::base::log_settings::{LogFileSettings, LogSettings, ROTATE_DURATION};
use crate::config::checked::refuse;
use crate::config::error::ConfigError;
use crate::config::settings::Given;

/// What a file is called when only its folder is said.
const FILE_NAME: &str = "consul.log";

/// What one source says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SaidLog {
    pub(super) enable_syslog: Option<bool>,
    pub(super) file: Option<String>,
    pub(super) json: Option<bool>,
    pub(super) rotate_bytes: Option<i64>,
    pub(super) rotate_duration: Option<Duration>,
    pub(super) rotate_max_files: Option<i64>,
}

impl SaidLog {
    /// Takes a key; false: it is not one of these.
    pub(super) fn set(&mut self, key: &str, given: &Given<'_>) -> Result<bool, ConfigError> {
        match key {
            "enable_syslog" => self.enable_syslog = Some(given.bool()?),
            "log_file" => self.file = Some(given.text()?),
            "log_json" => self.json = Some(given.bool()?),
            "log_rotate_bytes" => self.rotate_bytes = Some(given.integer()?),
            "log_rotate_duration" => self.rotate_duration = Some(given.span()?),
            "log_rotate_max_files" => self.rotate_max_files = Some(given.integer()?),
            // Of syslog alone, which is refused.
            "syslog_facility" => drop(given.text()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Lays a later source over this one.
    pub(super) fn merge(&mut self, later: SaidLog) {
        self.enable_syslog = later.enable_syslog.or(self.enable_syslog);
        self.file = later.file.or(self.file.take());
        self.json = later.json.or(self.json);
        self.rotate_bytes = later.rotate_bytes.or(self.rotate_bytes);
        self.rotate_duration = later.rotate_duration.or(self.rotate_duration);
        self.rotate_max_files = later.rotate_max_files.or(self.rotate_max_files);
    }

    /// What holds then. As in Consul, a duration of zero is a day, and a number of bytes below one no limit.
    pub(super) fn check(&self) -> Result<LogSettings, ConfigError> {
        if self.enable_syslog == Some(true) {
            return refuse(
                "enable_syslog is not supported: log lines go to standard error, which systemd or a \
                 container's runtime hands on; remove it, or use log_file",
            );
        }
        let file = self.file.as_deref().filter(|path| !path.is_empty()).map(|path| {
            let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
            let folder = if folder.is_empty() { "/" } else { folder };
            let name = if name.is_empty() { FILE_NAME } else { name };
            let duration = self.rotate_duration.filter(|span| !span.is_zero());
            LogFileSettings {
                folder: PathBuf::from(folder),
                name: name.to_owned(),
                rotate_bytes: u64::try_from(self.rotate_bytes.unwrap_or(0)).unwrap_or(0),
                rotate_duration: duration.unwrap_or(ROTATE_DURATION),
                max_files: self.rotate_max_files.unwrap_or(0),
            }
        });
        Ok(LogSettings { json: self.json.unwrap_or(false), file })
    }
}
