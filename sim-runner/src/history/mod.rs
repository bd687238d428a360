//! What the users of a run did and saw.

pub mod operation;
