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
