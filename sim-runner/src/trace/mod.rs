//! The event stream of a run and what is read off it.

pub mod event;
