//! The testbed, tested from outside.

mod report_browser;
mod report_fixture;
mod report_page;
