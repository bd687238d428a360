//! States that are on their way into this server, each kept until Raft says that it is in force.
//!
//! ```text
//!   operator:  Restore(id) ──► Persist + image ──► Installed ──► the state machine is the image
//!   leader:    InstallSnapshot(token, image) ────► Installed ──► the same
//! ```
//!
//! An operator's image goes to the disk with the batch that installs it. From then on it is kept
//! whatever becomes of the request: the batch may be durable although its request was refused (the
//! leader stepped down in between), and Raft still says [`Installed`](crate::raft::Output::Installed).
//! Before that, a refusal drops it: the request has its own copy, to be routed again with.
//!
//! A leader's image was on disk before Raft saw the request. Once the request is answered, nothing will
//! ask for the image any more: what it brought is installed, was there already, or was not taken.

use std::collections::BTreeMap;

use crate::base::{ReplyToken, RequestId};
use crate::raft::{Install, Persist, SnapshotSource};

use super::types::StateImage;

#[derive(Debug)]
struct Given {
    image: StateImage,
    /// The batch that installs it is on its way to the disk.
    persisting: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Images {
    given: BTreeMap<RequestId, Given>,
    received: BTreeMap<ReplyToken, StateImage>,
}

impl Images {
    /// An operator gives this one.
    pub fn give(&mut self, id: RequestId, image: StateImage) {
        self.given.insert(id, Given { image, persisting: false });
    }

    /// This one came with a leader's request.
    pub fn receive(&mut self, token: ReplyToken, image: StateImage) {
        self.received.insert(token, image);
    }

    /// What has to be written beside this batch.
    pub fn for_disk(&mut self, persist: &Persist) -> Option<StateImage> {
        match persist.install.as_deref() {
            Some(Install { source: SnapshotSource::Operator(id), .. }) => {
                let given = self.given.get_mut(id)?;
                given.persisting = true;
                Some(given.image.clone())
            }
            _ => None,
        }
    }

    /// The operator's request was refused.
    pub fn refused(&mut self, id: RequestId) {
        if self.given.get(&id).is_some_and(|given| !given.persisting) {
            self.given.remove(&id);
        }
    }

    /// The leader's request is answered.
    pub fn answered(&mut self, token: ReplyToken) {
        self.received.remove(&token);
    }

    /// Takes out the one that is in force from now on.
    pub fn install(&mut self, source: SnapshotSource) -> Option<StateImage> {
        match source {
            SnapshotSource::Operator(id) => self.given.remove(&id).map(|given| given.image),
            SnapshotSource::Received(token) => self.received.remove(&token),
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.given.len() + self.received.len()
    }
}
