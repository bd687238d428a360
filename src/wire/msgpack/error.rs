//! What can be wrong with bytes, and where.

use std::fmt;

/// Bytes that do not say what they should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where, in bytes from the start of what was decoded.
    pub offset: usize,
    /// What.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end before the value does.
    Incomplete,
    /// Bytes follow the value where none may.
    Trailing,
    /// Another type than the field has.
    Expected {
        /// What the field has.
        wanted: &'static str,
        /// The first byte of what is there.
        found: u8,
    },
    /// A number that the field cannot hold or that stands for nothing.
    Value {
        /// What the number is.
        what: &'static str,
        /// The number.
        value: i128,
    },
    /// A text that stands for nothing.
    Text {
        /// What the text is.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// Longer than [`MAX_MESSAGE`](super::MAX_MESSAGE).
    TooLong(u64),
    /// Nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep,
    /// A string that is not UTF-8.
    NotUtf8,
    /// The first byte of a Raft RPC is none of those spoken here (spec cluster 5.1).
    UnknownRpc(u8),
    /// Valid, but of a form that this agent does not speak.
    Unsupported(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::Incomplete => f.write_str("the bytes end inside a value")?,
            Fault::Trailing => f.write_str("bytes follow the end of the value")?,
            Fault::Expected { wanted, found } => {
                write!(f, "expected {wanted}, found type byte {found:#04x}")?;
            }
            Fault::Value { what, value } => write!(f, "{what} cannot be {value}")?,
            Fault::Text { what, text } => write!(f, "{what} cannot be {text:?}")?,
            Fault::TooLong(length) => {
                write!(f, "{length} bytes announced, at most {} allowed", super::MAX_MESSAGE)?;
            }
            Fault::TooDeep => write!(f, "nested deeper than {} levels", super::MAX_DEPTH)?,
            Fault::NotUtf8 => f.write_str("a string is not UTF-8")?,
            Fault::UnknownRpc(kind) => write!(f, "unknown rpc type {kind}")?,
            Fault::Unsupported(what) => f.write_str(what)?,
        }
        write!(f, " (at byte {})", self.offset)
    }
}

impl std::error::Error for DecodeError {}
