//! The testbed, tested from outside.
