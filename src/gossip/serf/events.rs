//! User events: said by one, heard by each once (spec cluster 2.13).
//!
//! Invariant: an event of this Lamport time, name and payload is delivered at most once in one life of a
//! process, and never from before its time. That time starts with what the snapshot says, and a join that
//! ignores old events moves it to what the other's clock showed. The protection is one-sided: when
//! somebody else joins *us*, or at a periodic exchange, old events that we never heard are delivered
//! (recorded: a "New leader elected" of an election that was over).

use bytes::Bytes;

use crate::gossip::message::{SerfMessage, UserEvent};
use crate::gossip::pool_io;
use crate::gossip::serf::queue::Kind;
use crate::gossip::serf::ring::{self, Verdict};
use crate::gossip::serf::{Output, Serf, warn};

/// What was said, without when.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) name: String,
    pub(super) payload: Option<Bytes>,
}

impl PartialEq for Said {
    /// No payload and an empty one are the same thing said.
    fn eq(&self, other: &Self) -> bool {
        let payload = |said: &Self| said.payload.clone().unwrap_or_default();
        self.name == other.name && payload(self) == payload(other)
    }
}

pub(super) type Ring = ring::Ring<Said>;

impl Serf {
    /// Takes an event in; whether it is new.
    pub(super) fn hear_event(&mut self, event: &UserEvent, out: &mut Vec<Output>) -> bool {
        self.event_clock.witness(event.time);
        let clock = self.event_clock.time();
        let said = Said { name: event.name.clone(), payload: event.payload.clone() };
        match self.events.offer(clock, event.time, said) {
            Verdict::Ignored => false,
            Verdict::TooOld => {
                let UserEvent { name, time, .. } = event;
                warn(out, format!("received old event {name} from time {time} (current: {clock})"));
                false
            }
            Verdict::New => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.event(event.time);
                }
                out.push(Output::Out(pool_io::Output::UserEvent(event.clone())));
                true
            }
        }
    }

    /// The application fires one.
    pub(super) fn fire(
        &mut self,

        name: String,
        payload: Bytes,
        coalesce: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let limit = self.config.user_event_size_limit;
        if name.len() + payload.len() > limit {
            return Err(format!(
                "user event exceeds configured limit of {limit} bytes before encoding"
            ));
        }
        let payload = (!payload.is_empty()).then_some(payload);
        let event = UserEvent { time: self.event_clock.time(), name, payload, coalesce };
        let message = SerfMessage::UserEvent(event.clone());
        if self.encoded_len(message.clone()) > limit {
            return Err(format!(
                "encoded event exceeds configured limit of {limit} bytes after encoding"
            ));
        }
        self.hear_event(&event, out);
        self.broadcast(Kind::Event, message, None);
        Ok(())
    }
}
