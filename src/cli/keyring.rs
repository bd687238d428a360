//! `keygen` and `keyring`: the keys of gossip (spec api 5.10).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use crate::base::runtime::Runtime;
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::config::flags::{Flag, Parsed, Takes};

pub(super) const KEYGEN: Command = Command {
    path: "keygen",
    synopsis: "Generates a new encryption key",
    usage: "Usage: consul keygen\n\n  \
        Generates a new 32-byte encryption key that can be used to configure the\n  \
        agent to encrypt traffic. The output of this command is already\n  \
        in the proper format that the agent expects.",
    flags: &[],
    reach: Reach::Nobody,
};

pub(super) const COMMAND: Command = Command {
    path: "keyring",
    synopsis: "Manages gossip layer encryption keys",
    usage: "Usage: consul keyring [options]\n\n  \
    Manages encryption keys used for gossip messages. Gossip encryption is\n  \
    optional. When enabled, this command may be used to examine active encryption\n  \
    keys in the cluster, add new keys, and remove old ones. When combined, this\n  \
    functionality provides the ability to perform key rotation cluster-wide,\n  \
    without disrupting the cluster.\n\n  \
    All operations performed by this command can only be run against server nodes,\n  \
    and affect both the LAN and WAN keyrings in lock-step.",
    flags: FLAGS,
    reach: Reach::Servers,
};

const FLAGS: &[Flag] = &[
    Flag {
        name: "install",
        takes: Takes::Text,
        help: "Install a new encryption key. This will broadcast the new key to all members in \
               the cluster.",
    },
    Flag {
        name: "list",
        takes: Takes::Bool,
        help: "List all keys currently in use within the cluster.",
    },
    Flag {
        name: "list-primary",
        takes: Takes::Bool,
        help: "List all primary keys currently in use within the cluster.",
    },
    Flag {
        name: "local-only",
        takes: Takes::Bool,
        help: "Setting this to true will force the keyring query to only hit local servers (no \
               WAN traffic). This flag can only be set for list queries.",
    },
    Flag {
        name: "relay-factor",
        takes: Takes::Number,
        help: "Setting this to a non-zero value will cause nodes to relay their response to the \
               operation through this many randomly-chosen other nodes in the cluster. The \
               maximum allowed value is 5.",
    },
    Flag {
        name: "remove",
        takes: Takes::Text,
        help: "Remove the given key from the cluster. This operation may only be performed on \
               keys which are not currently the primary key.",
    },
    Flag {
        name: "use",
        takes: Takes::Text,
        help: "Change the primary encryption key, which is used to encrypt messages. The key \
               must already be installed before this operation can succeed.",
    },
];

/// `keygen`.
pub(super) fn keygen<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    KEYGEN.parse(args, terminal)?;
    let mut key = [0; 32];
    runtime.entropy(&mut key);
    terminal.line(STANDARD.encode(key));
    Ok(())
}

/// One thing that the command does.
struct Action<'a> {
    method: Method,
    announced: &'static str,
    key: Option<&'a str>,
    /// Of a list: only primary keys are shown.
    primary: bool,
}

fn actions(flags: &Parsed) -> Vec<Action<'_>> {
    let mut actions = Vec::new();
    let mut add = |method, announced, key, primary| {
        actions.push(Action { method, announced, key, primary });
    };
    if flags.switch("list") == Some(true) {
        add(Method::GET, "Gathering installed encryption keys...", None, false);
    }
    if flags.switch("list-primary") == Some(true) {
        add(Method::GET, "Gathering installed primary encryption keys...", None, true);
    }
    let changes = [
        ("install", Method::POST, "Installing new gossip encryption key..."),
        ("use", Method::PUT, "Changing primary gossip encryption key..."),
        ("remove", Method::DELETE, "Removing gossip encryption key..."),
    ];
    for (name, method, announced) in changes {
        if let Some(key) = flags.text(name).filter(|key| !key.is_empty()) {
            add(method, announced, Some(key), false);
        }
    }
    actions
}

/// `keyring`.
pub(super) async fn keyring<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let action = match &mut actions(&flags)[..] {
        [] => return Err(terminal.fail(COMMAND.help())),
        [action] => Action { method: std::mem::take(&mut action.method), ..*action },
        _ => return Err(terminal.fail("Only a single action is allowed")),
    };
    let relay_factor = flags.text("relay-factor").unwrap_or("0");
    if flags.number("relay-factor").is_some_and(|factor| factor > 5) {
        let text = "Error parsing relay factor: Relay factor must be in range: [0, 5]";
        return Err(terminal.fail(text));
    }
    let local_only = flags.switch("local-only") == Some(true);
    if local_only && action.key.is_some() {
        let text = "Error validating local-only: local-only can only be set for list requests";
        return Err(terminal.fail(text));
    }
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let mut params = Vec::new();
    if relay_factor != "0" {
        params.push(("relay-factor", relay_factor));
    }
    if local_only {
        params.push(("local-only", "true"));
    }
    terminal.line(format!("==> {}", action.announced));
    let body = match action.key {
        Some(key) => Bytes::from(serde_json::json!({ "Key": key }).to_string()),
        None => Bytes::new(),
    };
    let answer = api.call(action.method, "/v1/operator/keyring", &params, body).await;
    let answer = answer.map_err(|why| terminal.fail(format!("error: {why}")))?;
    if action.key.is_none() {
        let pools: Vec<Pool> = serde_json::from_slice(&answer.body)
            .map_err(|error| terminal.fail(format!("error: {error}")))?;
        pools.iter().for_each(|pool| terminal.out(pool.shown(action.primary)));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pool {
    #[serde(rename = "WAN")]
    wan: bool,
    datacenter: String,
    #[serde(default)]
    messages: BTreeMap<String, String>,
    keys: Option<BTreeMap<String, u64>>,
    primary_keys: Option<BTreeMap<String, u64>>,
    num_nodes: u64,
}

impl Pool {
    fn shown(&self, primary: bool) -> String {
        let name = if self.wan { "WAN".to_owned() } else { format!("{} (LAN)", self.datacenter) };
        let mut text = format!("\n{name}:\n");
        for (node, message) in &self.messages {
            text.push_str(&format!("  ===> {node}: {message}\n"));
        }
        let keys = if primary { &self.primary_keys } else { &self.keys };
        for (key, count) in keys.iter().flatten() {
            text.push_str(&format!("  {key} [{count}/{}]\n", self.num_nodes));
        }
        text
    }
}
