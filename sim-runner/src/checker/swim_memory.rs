//! What an agent's SWIM said last of each member, in one process life: shared by the properties about
//! incarnations.

use std::collections::BTreeMap;

use crate::trace::event::{Host, Pool, SwimState, What};
use crate::trace::members::host_of;

use super::oracle::Seen;

/// What was said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub address: String,
    pub state: SwimState,
    pub incarnation: u32,
    /// Since when it has been in this state, ns.
    pub since: i64,
}

/// By pool, observer and member.
#[derive(Debug, Default)]
pub struct SwimMemory {
    said: BTreeMap<(Pool, Host, String), Said>,
    /// Whether any SWIM told anything.
    pub told: bool,
}

impl SwimMemory {
    /// What an observer said last of a member, though it may have forgotten it since.
    #[must_use]
    pub fn last(&self, pool: Pool, observer: Host, about: &str) -> Option<&Said> {
        self.said.get(&(pool, observer, about.to_owned()))
    }

    /// What observers said last of a member.
    pub fn all(&self, pool: Pool, about: &str) -> impl Iterator<Item = (Host, &Said)> {
        let of = self.said.iter().filter(move |((at, _, name), _)| *at == pool && name == about);
        of.map(|((_, observer, _), said)| (*observer, said))
    }

    /// What was known of the member before this event; none when it is news, or when the event says
    /// that it was not known. Takes the event in.
    pub fn take(&mut self, seen: Seen<'_>) -> Option<Said> {
        let (host, at) = (seen.event.host, seen.event.at);
        match &seen.event.what {
            What::Started | What::Ended { .. } => {
                self.said.retain(|(_, observer, _), _| *observer != host);
                None
            }
            What::Swim { pool, about, address, from, to, incarnation } => {
                self.told = true;
                let now = Said {
                    address: address.clone(),
                    state: *to,
                    incarnation: *incarnation,
                    since: at,
                };
                let before = self.said.insert((*pool, host, about.clone()), now);
                before.filter(|_| from.is_some())
            }
            _ => None,
        }
    }
}

/// Whether the member of this event is the agent itself.
#[must_use]
pub fn is_self(seen: Seen<'_>, pool: Pool, about: &str) -> bool {
    host_of(seen.view, pool, about) == Some(seen.event.host)
}
