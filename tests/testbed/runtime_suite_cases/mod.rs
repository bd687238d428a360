//! What both forms of `Runtime` must do, by area.

pub mod datagrams;
pub mod files;
pub mod probes;
pub mod streams;
pub mod time;
