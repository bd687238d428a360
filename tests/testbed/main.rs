//! The testbed, tested from outside.

mod fabric_suite;
mod runtime_suite;
mod runtime_suite_cases;
