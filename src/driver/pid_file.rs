//! `pid_file` (spec api 6.2): a file that names the process of this agent.
//!
//! ```text
//!   everything listens ─► written ─► … ─► the agent ends ─► removed
//! ```
//!
//! Who finds it may ask the agent. A process that is killed leaves it behind; the next start writes it anew.
//! Deliberately not here: keeping a second agent away, which the claim on the data folder does.

use std::path::Path;

use crate::base::runtime::{Disk, File, Level, Runtime};

/// A file that is there while the agent runs.
pub(super) struct PidFile<R: Runtime> {
    runtime: R,
    disk: R::Disk,
    name: String,
}

impl<R: Runtime> PidFile<R> {
    /// Writes it; without a path there is none.
    pub async fn write(runtime: &R, path: Option<&str>) -> Result<Option<Self>, String> {
        let Some(path) = path else { return Ok(None) };
        let Some(name) = Path::new(path).file_name().and_then(|name| name.to_str()) else {
            return Err(format!("pid_file {path} names no file"));
        };
        let folder = match Path::new(path).parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let disk = runtime.disk(folder);
        // A longer number of an earlier process would show behind this one.
        let _ = disk.remove(name).await;
        let written = async {
            let file = disk.open(name, true).await?;
            file.write_at(0, runtime.process_id().to_string().as_bytes()).await
        };
        written.await.map_err(|error| {
            format!("cannot write pid_file: {error}; name a file that this process may write")
        })?;
        Ok(Some(Self { runtime: runtime.clone(), disk, name: name.to_owned() }))
    }

    /// The agent ends.
    pub async fn remove(self) {
        if let Err(error) = self.disk.remove(&self.name).await {
            let runtime = &self.runtime;
            runtime.log(Level::Warn, "agent", format_args!("cannot remove the pid_file: {error}"));
        }
    }
}
