//! `kv get` (spec api 5.11).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::runtime::Runtime;
use crate::cli::api::{Api, Found};
use crate::cli::kv::{key_of, with_http};
use crate::cli::{Terminal, parse_flags};
use crate::config::flags::{Flag, Takes};

const FLAGS: &[Flag] = &[
    Flag { name: "base64", takes: Takes::Bool, help: "Base64 encode the value." },
    Flag { name: "detailed", takes: Takes::Bool, help: "Show metadata about the key too." },
    Flag { name: "keys", takes: Takes::Bool, help: "List keys which start with the prefix." },
    Flag { name: "recurse", takes: Takes::Bool, help: "Look at all keys with the prefix." },
    Flag { name: "separator", takes: Takes::Text, help: "Separator of -keys; the default is /." },
];

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

    /// Two columns, six spaces apart.
    fn detailed(&self, encoded: bool) -> Vec<u8> {
        let session = self.session.as_deref().filter(|id| !id.is_empty()).unwrap_or("-");
        let mut text = format!(
            "CreateIndex      {}\nFlags            {}\nKey              {}\n\
             LockIndex        {}\nModifyIndex      {}\nSession          {session}\n\
             Value            ",
            self.create_index, self.flags, self.key, self.lock_index, self.modify_index
        )
        .into_bytes();
        text.extend(self.value(encoded));
        text
    }
}

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let usage = "Usage: consul kv get [options] [KEY_OR_PREFIX]";
    let flags = parse_flags(&with_http(FLAGS), usage, args, terminal)?;
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
    let api = Api::new(runtime, &flags, terminal).map_err(|text| terminal.fail(text))?;
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
            (true, _, _) => entry.key.clone().into_bytes(),
            (_, true, _) => entry.detailed(on("base64")),
            (_, _, true) => {
                [format!("{}:", entry.key).into_bytes(), entry.value(on("base64"))].concat()
            }
            _ => entry.value(on("base64")),
        };
        terminal.line(lines);
        if on("detailed") && !keys && at + 1 < entries.len() {
            terminal.line("");
        }
    }
    Ok(())
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("malformed answer: {error}"))
}
