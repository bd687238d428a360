//! The testbed, tested from outside.

mod linearizable_brute;
mod linearizable_cases;
mod linearizable_folder;
mod linearizable_large;
