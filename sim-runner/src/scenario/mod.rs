//! The scenario language: from a TOML file and a seed to a [`model::Plan`], and back.
//!
//! ```text
//!  file ──source──► tree with places ──script──► Source ──lower(seed)──► Plan ──► runner
//!   ▲                    ▲                          │                      │
//!   │                  --set                 all errors at once            │
//!   └──────────────────────────── expand ──────────────────────────────────┘
//! ```
//!
//! * [`load`] reports every error of a file at once, each with its place and a remedy.
//! * [`lower`] makes every draw that does not depend on the run, from labelled streams.
//! * [`expand`] prints a plan as a scenario that lowers to the same plan.
//! * [`fill`] fills in names in braces, when a step fires.
//!
//! What a word means is decided by whoever runs the plan; here it is only made sure that the word
//! exists, stands where it may, and can mean something in this cluster.

mod chaos;
mod cluster;
mod condition;
pub mod diagnostic;
mod expand;
mod expect;
mod facts;
pub mod fault;
mod fault_verb;
mod link_verb;
mod list;
pub mod lookup;
mod lower;
mod machine;
mod membership_verb;
pub mod model;
mod network;
mod network_plan;
mod order;
mod overrides;
mod reader;
mod script;
mod seed;
pub mod service_verb;
mod signed;
mod source;
mod spelling;
mod step;
mod target;
mod text;
mod toml_text;
mod tree;
mod values;
mod verb;
pub mod words;
mod workload;
mod workload_kinds;
mod workload_plan;

pub use cluster::merge as merge_config;
pub use condition::{show as show_condition, show_event};
pub use diagnostic::Diagnostics;
pub use expand::expand;
pub use fault_verb::split_line;
pub use list::titles;
pub use lower::lower;
pub use order::previous as previous_step;
pub use signed::{draw_ns, draw_ppm, show_ns, show_ppm};
pub use source::{Source, load, load_text};
pub use spelling::nearest;
pub use target::Names;
pub use target::show as show_target;
pub use text::{Field, fill};
pub use values::{show_duration, show_span};
