//! The testbed, tested from outside.

mod fabric_suite;
mod language_errors;
mod language_garbage;
mod language_plan;
mod linearizable_brute;
mod linearizable_cases;
mod linearizable_folder;
mod linearizable_large;
mod oracle_conditions;
mod oracle_expectations;
mod oracle_raft;
mod oracle_story;
mod oracle_trace;
mod oracle_users;
mod report_browser;
mod report_fixture;
mod report_page;
mod runtime_suite;
mod runtime_suite_cases;
mod zoo;
