//! Judges a run from its evidence: the trace, the history, and the plan's expectations.
//!
//! ```text
//!  events ──pass──► View ──Seen──► one oracle per property ──► Judgement ┐
//!  history + events ──windows──► excusable default reads                 ├─► evidence::judge
//!  plan ──────────► expectations (over the same events)                  ┘
//! ```
//!
//! Nothing here sees a live cluster, so `sim-runner check FOLDER` reaches the verdict of the run. An
//! oracle states its property at the top of its file, with the source and the reason why it is no
//! stricter than the truth: a false alarm costs more trust than a missed bug.

mod applied_state;
mod boot;
mod catalog_changes;
mod catalog_matches_agents;
mod catalog_unique;
mod commit_monotonic;
mod committed;
pub mod determinism;
mod dns_answer;
mod dns_settings;
mod dns_sound;
mod durability;
mod election_safety;
pub mod evidence;
pub mod expectations;
pub mod findings;
mod gossip_accuracy;
mod gossip_completeness;
mod gossip_times;
mod incarnation_monotonic;
mod index_monotonic;
mod leader_completeness;
pub mod linearizable;
mod links;
mod liveness;
mod lock_exclusion;
mod log_matching;
mod member_pairs;
mod no_orphan_checks;
mod no_panic;
mod no_resurrection;
mod no_stale_resurrection;
pub mod oracle;
mod reigns;
mod script;
mod serf_health;
mod session_lifetime;
mod sessions;
mod state_machine_safety;
mod storage_recovery;
mod swim_memory;
mod transactions;
mod user_events;
mod views_converge;
mod vote_durability;
mod watch_complete;
mod watched_catalog;
pub mod windows;

pub use evidence::{Evidence, Outcome, judge};
