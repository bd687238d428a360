//! The testbed, tested from outside.

mod language_errors;
mod language_garbage;
mod language_plan;
