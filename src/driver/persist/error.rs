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
    /// A snapshot's bytes are not those that were written. Another one, or another server, has them.
    Snapshot {
        /// In which file, below the data directory.
        file: String,
        /// At which byte of it.
        offset: u64,
        /// What was expected and what is there.
        what: String,
    },
    /// The file of the live peer set, which people edit, cannot be understood.
    Peers {
        /// Which file, below the data directory.
        file: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
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
            StorageError::Snapshot { file, offset, what } => {
                write!(f, "the snapshot {file} is damaged at byte {offset}: {what}")
            }
            StorageError::Peers { file, line, column, what } => write!(
                f,
                "{file} at line {line}, column {column}: {what}. Write all servers there, the \
                 same on each of them, as in [\"10.0.0.1:8300\",\"10.0.0.2:8300\"], or null for none"
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
            StorageError::Corrupt { .. }
            | StorageError::Snapshot { .. }
            | StorageError::Peers { .. }
            | StorageError::Poisoned { .. } => None,
        }
    }
}

/// A piece of what was written that cannot be read, in a server that can start all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// In which file, below the data directory.
    pub file: String,
    /// At which byte of it.
    pub offset: u64,
    /// What was expected and what is there.
    pub what: String,
    /// Whether something is gone with it. Otherwise this server has it at another place: in a
    /// snapshot, or in a log from which the snapshot can be made again.
    pub lost: bool,
}

impl Damage {
    /// The refusal to start with it.
    #[must_use]
    pub fn refusal(&self) -> StorageError {
        let Self { file, offset, what, .. } = self.clone();
        StorageError::Corrupt { file, offset, what }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, what, lost } = self;
        let then = if *lost {
            "What is lost with it comes back from the other servers; until then this server does not \
             vote"
        } else {
            "Nothing is lost: this server has it at another place as well"
        };
        write!(f, "damage on disk: {file} at byte {offset}: {what}. {then}")
    }
}

/// Names the action and the file in an I/O error.
pub(super) fn at<'a>(
    action: &'static str,
    file: &'a str,
) -> impl FnOnce(io::Error) -> StorageError + 'a {
    move |error| StorageError::Io { action, file: file.to_owned(), error }
}
