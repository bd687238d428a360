//! The testbed, tested from outside.

mod language_plan;
