//! Newtypes for the numbers and names that must not be mixed up.

use std::fmt;
use std::sync::Arc;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The next one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A Raft term; 0 before the first.
    Term
}
number! {
    /// The index of a log entry; the first is 1, 0 means "none".
    LogIndex
}
number! {
    /// Names one batch handed to the disk; ascending, and completed in that order.
    PersistId
}
number! {
    /// Names one RPC that this node sent and that will be answered or fail, exactly once.
    CallId
}
number! {
    /// Names one RPC that this node received and owes an answer.
    ReplyToken
}
number! {
    /// Names one request that a front end (HTTP, DNS, a forwarding server) put to the agent.
    RequestId
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// A Raft server's id: the node's UUID, or its address below Raft protocol 3.
    ServerId
}
name! {
    /// A Raft server's address as it stands in configurations and on the wire: `10.0.0.1:8300`.
    ServerAddress
}

name! {
    /// A node's name: its identity in gossip and in the catalog.
    NodeName
}

/// Sixteen random bytes in the form of a UUID, as Consul makes its ids: no bits are set aside.
#[must_use]
pub fn uuid(bytes: [u8; 16]) -> String {
    let number = u128::from_be_bytes(bytes);
    let group = |shift: u32, digits: u32| (number >> shift) & ((1 << (4 * digits)) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        group(96, 8),
        group(80, 4),
        group(64, 4),
        group(48, 4),
        group(0, 12)
    )
}

/// Whether a text has the form that [`uuid`] gives: lower-case, 8-4-4-4-12.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

#[cfg(test)]
mod tests {
    use super::{is_uuid, uuid};

    #[test]
    fn a_uuid_shows_every_byte_in_order() {
        let bytes = std::array::from_fn(|at| at as u8 * 17);
        assert_eq!(uuid(bytes), "00112233-4455-6677-8899-aabbccddeeff");
        assert!(is_uuid(&uuid(bytes)) && !is_uuid(&uuid(bytes).to_uppercase()));
    }
}
