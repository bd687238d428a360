//! Messagepack in the dialect of go-msgpack 0.5.x, which memberlist, serf, raft and Consul speak.
//!
//! What the dialect does differently from the messagepack of today (spec cluster 0.3):
//!
//! | | encoder writes | decoder takes |
//! |---|---|---|
//! | struct | map, keys sorted by name | any order, any subset, unknown keys skipped |
//! | string, bytes | old raw: fixraw (< 32), raw16, raw32 | also str8 and bin8/16/32, for either |
//! | integer | shortest unsigned form | any integer form that fits the field |
//! | bool | true, false | also 0 and 1 |
//! | float | double precision | also single, and integers |
//! | nothing | nil | nil for any field: its zero value |
//!
//! [`Writer`] appends to a buffer that the caller reuses. [`Reader`] walks borrowed bytes; running
//! off their end is [`Fault::Incomplete`], which a stream decoder turns into "not yet" with
//! [`streamed`]. Sorting is the caller's: a struct's fields are written in the order of their names,
//! and a test of each codec holds it to that.
//!
//! Deliberately not here: extension types and times as values (they are only skipped).

mod error;
mod reader;
mod writer;

pub use error::{DecodeError, Fault};
pub use reader::Reader;
pub use writer::{Counter, Sink, Writer};

/// No message, and no string or byte slice in one, may be longer than this many bytes: an announced
/// length beyond it is an error, so that a peer cannot make a connection buffer for ever.
pub const MAX_MESSAGE: usize = 64 << 20;

/// How deep a skipped value may nest.
pub const MAX_DEPTH: usize = 32;

/// Turns the result of decoding the front of a stream's buffer into "whole, and this long", "not
/// yet" or an error.
///
/// # Errors
/// What `decoded` holds, unless that is only a lack of bytes; [`Fault::TooLong`] when bytes are
/// lacking though there are [`MAX_MESSAGE`] of them.
pub fn streamed<T>(
    buffered: usize,
    decoded: Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    match decoded {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.fault != Fault::Incomplete => Err(error),
        Err(error) if buffered >= MAX_MESSAGE => {
            Err(DecodeError { fault: Fault::TooLong(buffered as u64), ..error })
        }
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
