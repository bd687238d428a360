//! What SWIM carries for Serf (spec cluster 2.16): broadcasts in datagrams, the state in push/pulls, our
//! coordinate in acks; and who is let in.

use bytes::Bytes;

use crate::gossip::io::Candidate;
use crate::gossip::message::{MemberState, NodeState, SerfMessage, SerfState, Tags};
use crate::gossip::serf::config::log_scale;
use crate::gossip::serf::{Serf, TAGS_TOO_LONG};
use crate::gossip::swim::{Delegate, META_MAX_BYTES};

impl Delegate for Serf {
    fn broadcasts(&mut self, overhead: usize, limit: usize) -> Vec<SerfMessage> {
        let times = self.config.retransmit_mult * log_scale(self.members.len());
        self.broadcasts.draw(overhead, limit, times)
    }

    fn has_broadcasts(&self) -> bool {
        !self.broadcasts.is_empty()
    }

    fn local_state(&self, _join: bool) -> SerfState {
        self.state()
    }

    fn ack_payload(&self) -> Bytes {
        if self.config.coordinates {
            (self.codec.encode_coordinate)(self.coordinates.own())
        } else {
            Bytes::new()
        }
    }

    fn admit(&self, nodes: &[NodeState]) -> Result<(), String> {
        if nodes.iter().any(|node| node.meta.len() > META_MAX_BYTES) {
            return Err(TAGS_TOO_LONG.to_owned());
        }
        // Most are known with these tags: only the others' are read.
        let known = |node: &NodeState| {
            let member = self.members.get(&node.node)?;
            (member.meta == node.meta).then_some(&member.view.tags)
        };
        let read: Vec<Option<Tags>> = nodes
            .iter()
            .map(|node| known(node).is_none().then(|| (self.codec.decode_tags)(&node.meta)))
            .collect();
        let none = Tags::default();
        let candidates: Vec<Candidate<'_>> = nodes
            .iter()
            .zip(&read)
            .map(|(node, read)| Candidate {
                name: &node.node,
                tags: read.as_ref().or_else(|| known(node)).unwrap_or(&none),
                left: node.state == MemberState::Left,
            })
            .collect();
        self.admission.admit(&candidates)
    }
}
