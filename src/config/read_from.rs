//! Where a configuration was read, to read it again (spec api 6.6): the same files, folders and flags, through
//! the same way in as at start.

use crate::base::runtime::Runtime;
use crate::config::flags::Parsed;
use crate::config::{AgentConfig, ConfigError};

/// The command line, and what stood in for files where none were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadFrom {
    flags: Parsed,
    host_name: String,
    /// Name and text of each; none: the flags name the files.
    parts: Option<Vec<(String, String)>>,
}

impl ReadFrom {
    pub(super) fn of_files(flags: &Parsed, host_name: &str) -> Self {
        Self { flags: flags.clone(), host_name: host_name.to_owned(), parts: None }
    }

    pub(super) fn of_parts(files: &[(&str, &str)], flags: &Parsed, host_name: &str) -> Self {
        let part = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let parts = Some(files.iter().map(part).collect());
        Self { parts, ..Self::of_files(flags, host_name) }
    }

    /// The machine's name.
    #[must_use]
    pub fn host_name(&self) -> &str {
        &self.host_name
    }

    /// What is said there now.
    ///
    /// # Errors
    /// As [`AgentConfig::load`].
    pub async fn again<R: Runtime>(&self, runtime: &R) -> Result<AgentConfig, ConfigError> {
        match &self.parts {
            None => AgentConfig::load(runtime, &self.flags, &self.host_name).await,
            Some(parts) => {
                let parts: Vec<(&str, &str)> =
                    parts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
                AgentConfig::from_parts(&parts, &self.flags, &self.host_name)
            }
        }
    }
}
