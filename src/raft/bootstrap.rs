//! How a cluster begins (spec cluster 4.8, Bootstrap; 3.6 to 3.8).
//!
//! ```text
//!   nothing on disk ──► no set in force: follows, answers, never stands ("no known peers")
//!        │ Bootstrap(set)            several servers may be given the same set, each by itself
//!        ▼
//!   term 1, entry 1 of term 1 = the set ──► stands when its timer runs out, in term 2
//! ```
//!
//! The entry is not committed by this: it is the same on every server that was given the same set, and
//! the first leader commits it with its own first entry. Servers that are given *different* sets make
//! different clusters; nothing here can know.
//!
//! Refused as soon as there is any state, be it a term that somebody told: then there is a cluster
//! already, and this server is to be added to it by its leader. The timer goes on as it was.
//!
//! Deliberately not here: `legacy`, which writes no entry ([`Input::SetPeers`]), and who decides that it
//! is time.
//!
//! [`Input::SetPeers`]: crate::raft::Input::SetPeers

use crate::base::{LogIndex, Term};
use crate::raft::core::Raft;
use crate::raft::event::Event;
use crate::raft::types::{Configuration, Entry, EntryKind, Output};

/// Of hashicorp/raft: ErrCantBootstrap.
const HAS_STATE: &str = "bootstrap only works on new clusters";

impl Raft {
    /// Whether this server has taken part in anything: then it cannot be bootstrapped any more.
    #[must_use]
    pub fn has_state(&self) -> bool {
        self.term() > Term(0)
            || self.log.last_index() > LogIndex(0)
            || !self.configuration().servers.is_empty()
    }

    /// The agent gives a new cluster's first set.
    pub(super) fn bootstrap(&mut self, configuration: &Configuration, out: &mut Vec<Output>) {
        let planned = match self.has_state() {
            true => Err(HAS_STATE),
            false => self.membership.first_entry(configuration),
        };
        match planned {
            Ok(data) => {
                self.adopt_term(Term(1), out);
                let (index, term, kind) = (LogIndex(1), Term(1), EntryKind::Configuration);
                self.append_to_log(vec![Entry { index, term, kind, data }], out);
            }
            Err(why) => out.push(Output::Event(Event::BootstrapRefused(why))),
        }
    }
}
