//! The testbed, tested from outside.

mod bad_input;
mod contract;
mod determinism;
mod digests;
mod evidence;
mod expansion;
mod language_plan;
mod linearizable_brute;
mod linearizable_folder;
mod report_browser;
mod report_fixture;
mod report_page;
mod runner;
