//! The testbed, tested from outside.

mod language_plan;
mod linearizable_brute;
mod linearizable_folder;
mod report_browser;
mod report_fixture;
mod report_page;
