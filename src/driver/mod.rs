//! L5: the shell around the cores, generic over [`Runtime`](crate::base::runtime::Runtime).

pub mod persist;
