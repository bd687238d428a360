//! The testbed, tested from outside.

mod bad_input;
mod contract;
mod determinism;
mod digests;
mod evidence;
mod evidence_machines;
mod evidence_times;
mod expansion;
mod fabric_suite;
mod language_errors;
mod language_garbage;
mod language_plan;
mod language_reference;
mod linearizable_brute;
mod linearizable_cases;
mod linearizable_folder;
mod linearizable_large;
mod oracle_catalog;
mod oracle_conditions;
mod oracle_dns;
mod oracle_events;
mod oracle_expectations;
mod oracle_gossip;
mod oracle_locks;
mod oracle_raft;
mod oracle_story;
mod oracle_trace;
mod oracle_transactions;
mod oracle_users;
mod oracle_watch;
#[path = "../agent/persist_script.rs"]
mod persist_script;
#[path = "../agent/persist_watched.rs"]
mod persist_watched;
mod report_browser;
mod report_fixture;
mod report_page;
mod runner;
mod runtime_suite;
mod runtime_suite_cases;
mod seed_articles;
mod storage_crashes;
mod zoo;
