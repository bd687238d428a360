//! What a plan says of links.

use proconsul::base::{Duration, Ratio};

use super::model::{Span, Target};

/// `[network]`.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkPlan {
    /// Per message.
    pub latency: Span,
    /// Per message.
    pub loss: Ratio,
    /// Of datagrams.
    pub duplicate: Ratio,
    /// Of datagrams.
    pub reorder: Ratio,
    /// Of datagrams; a TCP segment that is damaged counts as lost.
    pub corrupt: Ratio,
    /// Of each direction of each link, bytes per second.
    pub bandwidth: Option<u64>,
    /// `link."A -> B"`; the later wins, key by key.
    pub links: Vec<LinkPlan>,
    /// Between datacenters.
    pub wan: Option<LinkKeys>,
}

impl Default for NetworkPlan {
    fn default() -> Self {
        Self {
            latency: Span { low: Duration::from_millis(1), high: Duration::from_millis(5) },
            loss: Ratio::ZERO,
            duplicate: Ratio::ZERO,
            reorder: Ratio::ZERO,
            corrupt: Ratio::ZERO,
            bandwidth: None,
            links: Vec::new(),
            wan: None,
        }
    }
}

/// Some links that are otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkPlan {
    /// Who sends.
    pub from: Target,
    /// Who receives.
    pub to: Target,
    /// And the other way.
    pub both: bool,
    /// How.
    pub keys: LinkKeys,
}

/// The keys of a link, as far as they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are those of the network plan")]
pub struct LinkKeys {
    pub latency: Option<Span>,
    pub loss: Option<Ratio>,
    pub duplicate: Option<Ratio>,
    pub reorder: Option<Ratio>,
    pub corrupt: Option<Ratio>,
    pub bandwidth: Option<u64>,
}

impl LinkKeys {
    /// Puts what is written in the place of what a network has.
    pub fn onto(self, plan: &mut NetworkPlan) {
        plan.latency = self.latency.unwrap_or(plan.latency);
        plan.loss = self.loss.unwrap_or(plan.loss);
        plan.duplicate = self.duplicate.unwrap_or(plan.duplicate);
        plan.reorder = self.reorder.unwrap_or(plan.reorder);
        plan.corrupt = self.corrupt.unwrap_or(plan.corrupt);
        plan.bandwidth = self.bandwidth.or(plan.bandwidth);
    }
}
