//! Why the disk cannot be used.

use std::{fmt, io};

/// What is wrong with the log on disk.
#[derive(Debug)]
pub enum StorageError {
    /// The operating system refused.
    Io {
        /// What was tried: "open", "write", "sync".
        action: &'static str,
        /// On which file, below the data directory.
        file: String,
        /// Its answer.
        error: io::Error,
    },
    /// What is on disk is not what was written and may have been acknowledged.
    Corrupt {
        /// In which file, below the data directory.
        file: String,
        /// At which byte of it.
        offset: u64,
        /// What was expected and what is there.
        what: String,
    },
    /// An earlier write or sync failed: nothing is known of what the disk holds since.
    Poisoned {
        /// How it failed.
        cause: String,
    },
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageError::Io { action, file, error } => {
                write!(f, "cannot {action} {file}: {error}")
            }
            StorageError::Corrupt { file, offset, what } => write!(
                f,
                "the Raft log is damaged: {file} at byte {offset}: {what}. Acknowledged data may \
                 be missing, so this server does not start. Restore its data directory from a \
                 backup, or remove it and let the server rejoin its cluster with an empty one"
            ),
            StorageError::Poisoned { cause } => write!(
                f,
                "the Raft log takes no more writes since one failed ({cause}): after a failed \
                 sync the system may have dropped what it had not written, so trying again \
                 would prove nothing. Restart this server once the disk works"
            ),
        }
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StorageError::Io { error, .. } => Some(error),
            StorageError::Corrupt { .. } | StorageError::Poisoned { .. } => None,
        }
    }
}

/// Names the action and the file in an I/O error.
pub(super) fn at<'a>(
    action: &'static str,
    file: &'a str,
) -> impl FnOnce(io::Error) -> StorageError + 'a {
    move |error| StorageError::Io { action, file: file.to_owned(), error }
}
