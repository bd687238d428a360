//! A lookup by DNS: the question as it was asked, and the answer as it came.
//!
//! ```text
//!  {"lookup":{"name":"web.service.consul.","kind":"SRV","by":"udp"}}
//!  {"resolved":{"rcode":"NOERROR","by":"udp","answers":["web.service.consul. 0 IN SRV 1 1 80 n2.node.dc1.consul."],…}}
//! ```
//!
//! Records are lines as `dig` writes them (owner, TTL in s, class, type, data), so that people and oracles
//! read the same. An answer that was cut short and says so is asked for again by TCP; then what TCP
//! brought is the answer.

use serde::{Deserialize, Serialize};

/// How a question reaches the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// A datagram without EDNS: an answer of at most 512 bytes.
    Udp,
    /// A datagram that says, by EDNS, that larger answers can be taken.
    Edns,
    /// A connection.
    Tcp,
}

impl By {
    /// As reports have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            By::Udp => "UDP",
            By::Edns => "UDP with EDNS",
            By::Tcp => "TCP",
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The whole name, with the dot at its end.
    pub name: String,
    /// The type of record: `SRV`.
    pub kind: String,
    /// How it is asked first.
    pub by: By,
}

impl Question {
    /// For people.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} by {}", self.kind, self.by.word())
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// `NOERROR`, `NXDOMAIN`, …
    pub rcode: String,
    /// How this answer came: TCP after an answer by UDP that was cut short.
    pub by: By,
    /// Whether it says that it was cut short (TC).
    pub truncated: bool,
    /// The answer section.
    pub answers: Vec<String>,
    /// The authority section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authority: Vec<String>,
    /// The additional section, without OPT.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<String>,
}

impl Resolved {
    /// For people: on one line.
    #[must_use]
    pub fn shown(&self) -> String {
        let cut = if self.truncated { ", cut short" } else { "" };
        let data = |line: &String| line.splitn(4, ' ').nth(3).unwrap_or(line).to_owned();
        let answers: Vec<String> = self.answers.iter().map(data).collect();
        format!("{} [{}]{cut}", self.rcode, answers.join(", "))
    }

    /// All of it as `dig` shows it, section by section.
    #[must_use]
    pub fn text(&self) -> String {
        let cut = if self.truncated { " tc" } else { "" };
        let mut text = format!("status: {}{cut}\n", self.rcode);
        for (name, lines) in [
            ("ANSWER", &self.answers),
            ("AUTHORITY", &self.authority),
            ("ADDITIONAL", &self.additional),
        ] {
            if !lines.is_empty() {
                text.push_str(&format!(";; {name}\n{}\n", lines.join("\n")));
            }
        }
        text
    }
}
