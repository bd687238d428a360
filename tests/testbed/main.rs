//! The testbed, tested from outside.

mod language_plan;
mod linearizable_brute;
mod linearizable_folder;
