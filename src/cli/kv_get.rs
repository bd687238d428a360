//! `kv get` (spec api 5.11).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::runtime::Runtime;
use crate::cli::Terminal;
use crate::cli::api::{Api, Found};
use crate::cli::command::{Command, Reach};
use crate::cli::kv::key_of;
use crate::config::flags::{Flag, Takes};

pub(super) const COMMAND: Command = Command {
    path: "kv get",
    synopsis: "Retrieves or lists data from the KV store",
    usage: "Usage: consul kv get [options] [KEY_OR_PREFIX]\n\n  \
        Prints the value of a key. A key that is not there is an error.\n\n      \
        $ consul kv get foo\n\n  \
        With what else is known of it, such as its ModifyIndex and flags:\n\n      \
        $ consul kv get -detailed foo\n\n  \
        All pairs, or all keys, that begin with a prefix:\n\n      \
        $ consul kv get -recurse foo\n      \
        $ consul kv get -keys foo",
    flags: &[
        Flag {
            name: "base64",
            takes: Takes::Bool,
            help: "Base64 encode the value. The default is false.",
        },
        Flag {
            name: "detailed",
            takes: Takes::Bool,
            help: "Provide additional metadata about the key in addition to the value, such as the \
                   ModifyIndex and its flags. The default is false.",
        },
        Flag {
            name: "keys",
            takes: Takes::Bool,
            help: "List keys which start with the given prefix, but not their values. The default is \
                   false.",
        },
        Flag {
            name: "recurse",
            takes: Takes::Bool,
            help: "Look at all keys with the given prefix. The default is false.",
        },
        Flag {
            name: "separator",
            takes: Takes::Text,
            help: "String to use as a separator between keys, with -keys. The default is \"/\".",
        },
    ],
    reach: Reach::Namespaced,
};

/// An entry as the API gives it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    create_index: u64,
    flags: u64,
    key: String,
    lock_index: u64,
    modify_index: u64,
    #[serde(default)]
    session: Option<String>,
    value: Option<String>,
}

impl Entry {
    fn value(&self, encoded: bool) -> Vec<u8> {
        let text = self.value.as_deref().unwrap_or_default();
        if encoded {
            return text.as_bytes().to_vec();
        }
        STANDARD.decode(text).unwrap_or_default()
    }

    /// Two columns, six spaces apart; the value last, unless keys alone are wanted.
    fn detailed(&self, encoded: bool, keys: bool) -> Vec<u8> {
        let session = self.session.as_deref().filter(|id| !id.is_empty()).unwrap_or("-");
        let mut text = format!(
            "CreateIndex      {}\nFlags            {}\nKey              {}\n\
             LockIndex        {}\nModifyIndex      {}\nSession          {session}\n",
            self.create_index, self.flags, self.key, self.lock_index, self.modify_index
        )
        .into_bytes();
        if !keys {
            text.extend(b"Value            ");
            text.extend(self.value(encoded));
        }
        text
    }
}

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let on = |name| flags.switch(name) == Some(true);
    let (keys, recurse) = (on("keys"), on("recurse"));
    let key = match flags.rest.as_slice() {
        [] => "",
        [key] => key_of(key),
        many => {
            let text = format!("Too many arguments (expected 1, got {})", many.len());
            return Err(terminal.fail(text));
        }
    };
    if key.is_empty() && !keys && !recurse {
        return Err(terminal.fail("Error! Missing KEY argument"));
    }
    let separator = flags.text("separator").unwrap_or("/");
    let params: &[(&str, &str)] = match (keys, recurse) {
        (true, false) => &[("keys", ""), ("separator", separator)],
        (_, true) => &[("recurse", "")],
        _ => &[],
    };
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let failed = |terminal: &mut Terminal<'_>, text| {
        terminal.fail(format!("Error querying Consul agent: {text}"))
    };
    let body = match api.kv(Method::GET, key, params, Bytes::new()).await {
        Ok(Found::Body(body)) => body,
        Ok(Found::Nothing) if keys || recurse => return Ok(()),
        Ok(Found::Nothing) => {
            return Err(terminal.fail(format!("Error! No key exists at: {key}")));
        }
        Err(text) => return Err(failed(terminal, text)),
    };
    if keys && !recurse {
        let names: Vec<String> = decode(&body).map_err(|text| failed(terminal, text))?;
        names.iter().for_each(|name| terminal.line(name));
        return Ok(());
    }
    let entries: Vec<Entry> = decode(&body).map_err(|text| failed(terminal, text))?;
    for (at, entry) in entries.iter().enumerate() {
        let lines = match (keys, on("detailed"), recurse) {
            (_, true, _) => entry.detailed(on("base64"), keys),
            (true, _, _) => entry.key.clone().into_bytes(),
            (_, _, true) => {
                [format!("{}:", entry.key).into_bytes(), entry.value(on("base64"))].concat()
            }
            _ => entry.value(on("base64")),
        };
        terminal.line(lines);
        if on("detailed") && at + 1 < entries.len() {
            terminal.line("");
        }
    }
    Ok(())
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("malformed answer: {error}"))
}
