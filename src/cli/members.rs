//! `members`, `join`, `leave`, `force-leave` and `info` (spec api 5.4 to 5.7, in the shape of 1.9).

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use crate::base::runtime::Runtime;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::cli::progress::Progress;
use crate::cli::{Terminal, go_regex, table};
use crate::config::flags::{Flag, Takes};
use crate::gossip::Status;
use crate::http::escape::escape_path;

pub(super) const MEMBERS: Command = Command {
    path: "members",
    synopsis: "Lists the members of a Consul cluster",
    usage: "Usage: consul members [options]\n\n  \
        Outputs the members of a running Consul agent.",
    flags: &[
        Flag {
            name: "detailed",
            takes: Takes::Bool,
            help: "Provides detailed information about nodes.",
        },
        Flag {
            name: "segment",
            takes: Takes::Text,
            help: "(Enterprise-only) If provided, output is filtered to only nodes in the given segment.",
        },
        Flag {
            name: "status",
            takes: Takes::Text,
            help: "If provided, output is filtered to only nodes matching the regular expression for \
                   status. The default is .*.",
        },
        Flag {
            name: "wan",
            takes: Takes::Bool,
            help: "If the agent is in server mode, this can be used to return the other peers in the \
                   WAN pool.",
        },
    ],
    reach: Reach::Agent,
};

pub(super) const JOIN: Command = Command {
    path: "join",
    synopsis: "Tell Consul agent to join cluster",
    usage: "Usage: consul join [options] address ...\n\n  \
        Tells a running Consul agent (with \"consul agent\") to join the cluster\n  \
        by specifying at least one existing member.",
    flags: &[Flag {
        name: "wan",
        takes: Takes::Bool,
        help: "Joins a server to another server in the WAN pool.",
    }],
    reach: Reach::Agent,
};

pub(super) const LEAVE: Command = Command {
    path: "leave",
    synopsis: "Gracefully leaves the Consul cluster and shuts down",
    usage: "Usage: consul leave [options]\n\n  \
        Causes the agent to gracefully leave the Consul cluster and shutdown.",
    flags: &[],
    reach: Reach::Agent,
};

pub(super) const FORCE_LEAVE: Command = Command {
    path: "force-leave",
    synopsis: "Forces a member of the cluster to enter the \"left\" state",
    usage: "Usage: consul force-leave [options] name\n\n  \
        Forces a member of a Consul cluster to enter the \"left\" state. A member that is still\n  \
        alive joins again soon; this is for members that have failed and will not come back.",
    flags: &[
        Flag {
            name: "prune",
            takes: Takes::Bool,
            help: "Remove agent completely from list of members.",
        },
        Flag {
            name: "wan",
            takes: Takes::Bool,
            help: "Force leave the agent from the WAN pool as well.",
        },
    ],
    reach: Reach::Agent,
};

pub(super) const INFO: Command = Command {
    path: "info",
    synopsis: "Provides debugging information for operators.",
    usage: "Usage: consul info [options]\n\n  \
        Provides debugging information for operators",
    flags: &[],
    reach: Reach::Agent,
};

/// Where the column `Segment` stands: last.
const SEGMENT_COLUMN: usize = 7;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    name: String,
    addr: String,
    port: u16,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    status: u8,
}

impl Member {
    fn tag(&self, name: &str) -> &str {
        self.tags.get(name).map_or("", String::as_str)
    }

    fn status(&self) -> &'static str {
        let status = match self.status {
            1 => Status::Alive,
            2 => Status::Leaving,
            3 => Status::Left,
            4 => Status::Failed,
            _ => Status::None,
        };
        status.as_str()
    }

    fn address(&self) -> String {
        match self.addr.contains(':') {
            true => format!("[{}]:{}", self.addr, self.port),
            false => format!("{}:{}", self.addr, self.port),
        }
    }

    /// Servers are in all segments.
    fn segment(&self) -> &str {
        match (self.tag("role"), self.tag("segment")) {
            ("consul", _) => "<all>",
            (_, "") => "<default>",
            (_, segment) => segment,
        }
    }

    /// An agent of the `legacy` profile.
    fn is_legacy(&self) -> bool {
        self.tag("build").starts_with("0.5.")
    }

    fn row(&self) -> Vec<String> {
        let kind = match self.tag("role") {
            "consul" => "server",
            "node" => "client",
            _ => "unknown",
        };
        let build = match self.tag("build") {
            "" => "< 0.3",
            build => build.split(':').next().unwrap_or_default(),
        };
        let protocol = self.tag("vsn").to_owned();
        let cells = [self.name.as_str(), &self.address(), self.status(), kind, build];
        let last = [protocol.as_str(), self.tag("dc"), self.segment()];
        cells.iter().chain(&last).map(|cell| (*cell).to_owned()).collect()
    }

    fn detailed_row(&self) -> Vec<String> {
        let tags: Vec<String> =
            self.tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect();
        let cells = [self.name.clone(), self.address(), self.status().to_owned(), tags.join(",")];
        cells.into()
    }
}

/// `members`.
pub(super) async fn members<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = MEMBERS.parse(args, terminal)?;
    let wanted = flags.text("status").unwrap_or(".*");
    let wanted = go_regex::compile(wanted)
        .map_err(|error| terminal.fail(format!("Failed to compile status regexp: {error}")))?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let wan = flags.switch("wan") == Some(true);
    let segment = flags.text("segment").unwrap_or("_all");
    let params: &[(&str, &str)] = if wan { &[("wan", "1")] } else { &[("segment", segment)] };
    let answer = api.call(Method::GET, "/v1/agent/members", params, Bytes::new()).await;
    let answer = answer.map_err(|why| terminal.fail(format!("Error retrieving members: {why}")))?;
    let members: Option<Vec<Member>> = serde_json::from_slice(&answer.body)
        .map_err(|error| terminal.fail(format!("Error retrieving members: {error}")))?;
    let mut members = members.unwrap_or_default();
    members.retain(|member| wanted.is_match(member.status()));
    if members.is_empty() {
        return Err(2);
    }
    members.sort_by(|a, b| (a.segment(), &a.name).cmp(&(b.segment(), &b.name)));
    let detailed = flags.switch("detailed") == Some(true);
    let head: &[&str] = if detailed {
        &["Node", "Address", "Status", "Tags"]
    } else {
        &["Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Segment"]
    };
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|cell| (*cell).to_owned()).collect()];
    let row = if detailed { Member::detailed_row } else { Member::row };
    rows.extend(members.iter().map(row));
    // 0.5.2 knows no segments, and no column for them.
    if !detailed && members.iter().all(Member::is_legacy) {
        rows.iter_mut().for_each(|row| row.truncate(SEGMENT_COLUMN));
    }
    terminal.out(table(&rows));
    Ok(())
}

/// `join`.
pub(super) async fn join<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = JOIN.parse(args, terminal)?;
    if flags.rest.is_empty() {
        let text = format!("At least one address to join must be specified.\n\n{}", JOIN.help());
        return Err(terminal.fail(text));
    }
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let params: &[(&str, &str)] =
        if flags.switch("wan") == Some(true) { &[("wan", "1")] } else { &[] };
    let (mut joined, mut progress) = (0, Progress::default());
    for (at, address) in flags.rest.iter().enumerate() {
        let mut path = "/v1/agent/join/".to_owned();
        escape_path(address, &mut path);
        let text = format!("Joining {address} ({} of {}) ...", at + 1, flags.rest.len());
        progress.say(terminal, &text);
        let asked = api.call(Method::PUT, &path, params, Bytes::new()).await;
        progress.end(terminal);
        match asked {
            Ok(_) => joined += 1,
            Err(why) => {
                terminal.fail(format!("Error joining address '{address}': {why}"));
            }
        }
    }
    if joined == 0 {
        return Err(terminal.fail("Failed to join any nodes."));
    }
    terminal.line(format!("Successfully joined cluster by contacting {joined} nodes."));
    Ok(())
}

/// `leave`.
pub(super) async fn leave<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = LEAVE.parse(args, terminal)?;
    if !flags.rest.is_empty() {
        let code =
            terminal.fail(format!("Error found unexpected args: [{}]", flags.rest.join(" ")));
        terminal.line(LEAVE.help());
        return Err(code);
    }
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let left = api.call(Method::PUT, "/v1/agent/leave", &[], Bytes::new()).await;
    left.map_err(|why| terminal.fail(format!("Error leaving: {why}")))?;
    terminal.line("Graceful leave complete");
    Ok(())
}

/// `force-leave`.
pub(super) async fn force_leave<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = FORCE_LEAVE.parse(args, terminal)?;
    let [node] = flags.rest.as_slice() else {
        let text = "A single node name must be specified to force leave.";
        return Err(terminal.fail(format!("{text}\n\n{}", FORCE_LEAVE.help())));
    };
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let asked = |name: &&&str| flags.switch(name) == Some(true);
    let params: Vec<(&str, &str)> =
        ["prune", "wan"].iter().filter(asked).map(|name| (*name, "1")).collect();
    let mut path = "/v1/agent/force-leave/".to_owned();
    escape_path(node, &mut path);
    let left = api.call(Method::PUT, &path, &params, Bytes::new()).await;
    left.map_err(|why| terminal.fail(format!("Error force leaving: {why}")))?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelfAnswer {
    stats: BTreeMap<String, BTreeMap<String, String>>,
}

/// `info`.
pub(super) async fn info<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = INFO.parse(args, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let answer = api.call(Method::GET, "/v1/agent/self", &[], Bytes::new()).await;
    let answer = answer.map_err(|why| terminal.fail(format!("Error querying agent: {why}")))?;
    let found: SelfAnswer = serde_json::from_slice(&answer.body)
        .map_err(|error| terminal.fail(format!("Error querying agent: {error}")))?;
    for (section, values) in &found.stats {
        terminal.line(format!("{section}:"));
        for (key, value) in values {
            terminal.line(format!("\t{key} = {value}"));
        }
    }
    Ok(())
}
