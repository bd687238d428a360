//! `[network]`.

use proconsul::base::Ratio;

use super::super::network_plan::{LinkKeys, NetworkPlan};
use super::super::target;
use super::super::toml_text::quoted;
use super::super::values::{show_bandwidth, show_span};
use super::Printer;

impl Printer<'_> {
    /// Ranges stay: they are drawn per message.
    pub(super) fn network(&mut self, plan: &NetworkPlan) {
        self.header("[network]");
        self.text("latency", &show_span(plan.latency));
        self.text("loss", &ratio(plan.loss));
        let rest =
            [("duplicate", plan.duplicate), ("reorder", plan.reorder), ("corrupt", plan.corrupt)];
        for (key, share) in rest.into_iter().filter(|(_, share)| share.numerator > 0) {
            self.text(key, &ratio(share));
        }
        if let Some(bandwidth) = plan.bandwidth {
            self.text("bandwidth", &show_bandwidth(bandwidth));
        }
        if let Some(keys) = plan.wan {
            self.line("wan", inline(keys));
        }
        for link in &plan.links {
            let arrow = if link.both { "<->" } else { "->" };
            let (from, to) =
                (target::show(&link.from, &self.names), target::show(&link.to, &self.names));
            let key = format!("link.{}", quoted(&format!("{from} {arrow} {to}")));
            self.line(&key, inline(link.keys));
        }
    }
}

fn ratio(share: Ratio) -> String {
    format!("{}/{}", share.numerator, share.denominator)
}

fn inline(keys: LinkKeys) -> String {
    let shares = [
        ("loss", keys.loss),
        ("duplicate", keys.duplicate),
        ("reorder", keys.reorder),
        ("corrupt", keys.corrupt),
    ];
    let latency = keys.latency.map(|span| ("latency", show_span(span)));
    let shares = shares.into_iter().filter_map(|(key, share)| Some((key, ratio(share?))));
    let bandwidth = keys.bandwidth.map(|bytes| ("bandwidth", show_bandwidth(bytes)));
    let all = latency.into_iter().chain(shares).chain(bandwidth);
    let all: Vec<String> = all.map(|(key, value)| format!("{key} = {}", quoted(&value))).collect();
    format!("{{ {} }}", all.join(", "))
}
