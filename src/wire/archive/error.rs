//! What can be wrong with an archive. The first words are Consul's.

use std::fmt;

/// Why bytes are no archive that can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveError {
    /// Not gzip, or damaged as such.
    Gzip(String),
    /// It unpacks to more than any snapshot may have.
    TooLarge {
        /// So many bytes at most.
        limit: u64,
    },
    /// Not a tar, or damaged as such.
    Tar(String),
    /// The state in it, or what would be lost with it.
    State(String),
    /// A member that no snapshot has.
    Unexpected(String),
    /// A member that is there twice.
    Twice(&'static str),
    /// A member that is not there.
    Missing(&'static str),
    /// `meta.json` is not what it should be.
    Meta(String),
    /// A line of the list of checksums is none.
    BadList {
        /// Its number, from 1.
        line: usize,
    },
    /// The list names a file that is not there.
    ListedButMissing(String),
    /// The list has nothing for this member.
    Unlisted(&'static str),
    /// The member is not what it was.
    Checksum(&'static str),
    /// `state.bin` is not as long as `meta.json` says.
    Size {
        /// As it says.
        announced: u64,
        /// As it is.
        found: u64,
    },
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ArchiveError::Gzip(why) = self {
            return write!(f, "failed to decompress snapshot: {why}");
        }
        f.write_str("failed to read snapshot file: ")?;
        match self {
            ArchiveError::Gzip(_) => Ok(()),
            ArchiveError::TooLarge { limit } => {
                write!(f, "it unpacks to more than {limit} bytes; is it a snapshot at all?")
            }
            ArchiveError::Tar(why) => write!(f, "failed to read archive: {why}"),
            ArchiveError::State(why) => f.write_str(why),
            ArchiveError::Unexpected(name) => write!(f, "unexpected file {name:?} in snapshot"),
            ArchiveError::Twice(name) => write!(f, "{name:?} is in the snapshot twice"),
            ArchiveError::Missing(name) => {
                write!(f, "{name:?} is missing; the archive was not written to its end")
            }
            ArchiveError::Meta(why) => write!(f, "failed to decode snapshot metadata: {why}"),
            ArchiveError::BadList { line } => {
                write!(f, "line {line} of \"SHA256SUMS\" is no checksum and name")
            }
            ArchiveError::ListedButMissing(name) => write!(f, "file missing for {name:?}"),
            ArchiveError::Unlisted(name) => write!(f, "list missing hash for {name:?}"),
            ArchiveError::Checksum(name) => {
                write!(
                    f,
                    "hash check failed for {name:?}; the archive is damaged, take another one"
                )
            }
            ArchiveError::Size { announced, found } => {
                write!(f, "\"state.bin\" has {found} bytes, \"meta.json\" says {announced}")
            }
        }
    }
}

impl std::error::Error for ArchiveError {}
