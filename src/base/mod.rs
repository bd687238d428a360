//! L0: the vocabulary that everything else speaks. Standard library only, but for the random
//! stream's cipher and a hash function.

pub mod attached;
pub mod calendar;
pub mod dns_settings;
pub mod faults;
pub mod go_base64;
pub mod go_duration;
pub mod ids;
pub mod invariant;
pub mod log_json;
pub mod log_settings;
pub mod log_tap;
pub mod machine;
pub mod metrics;
mod metrics_totals;
pub mod network;
pub mod prng;
pub mod quorum;
pub mod runtime;
pub mod seats;
pub mod time;
pub mod web_ui;

pub use faults::Faults;
pub use ids::{
    CallId, LogIndex, NodeName, PersistId, ReplyToken, RequestId, ServerAddress, ServerId, Term,
};
pub use network::Network;
pub use prng::{Prng, Ratio};
pub use seats::{Seat, Seats};
pub use time::{Duration, Instant, WallTime};
pub use web_ui::WebUi;
