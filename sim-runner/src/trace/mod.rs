//! The event stream of a run and what is read off it.
//!
//! ```text
//!  fabric, driver, script ──TraceEvent──► record ──► bytes, digest ──► file (binary, JSON lines)
//!                                  └────► view ──► conditions ──► script (live), expectations (later)
//! ```

mod addresses;
pub mod catalog;
pub mod conditions;
pub mod diff;
pub mod event;
pub mod file;
pub mod happened;
pub mod json;
pub mod locks;
pub mod log;
pub mod members;
pub mod node;
pub mod operations;
pub mod record;
pub mod resolve;
pub mod services;
pub mod view;

pub use event::{Header, Host, TraceEvent, What};
pub use record::{Recording, Trace};
pub use view::View;
