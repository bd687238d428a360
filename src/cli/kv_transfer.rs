//! `kv export` and `kv import`: a tree of keys as JSON, from one cluster to another (spec api 5.11).
//!
//! An import writes key after key and stops at the first that fails; what was written stays, and has been
//! named.

use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::base::go_base64;
use crate::base::runtime::Runtime;
use crate::cli::api::{Api, Found};
use crate::cli::command::{Command, Reach};
use crate::cli::kv::key_of;
use crate::cli::{Terminal, files};

pub(super) const EXPORT: Command = Command {
    path: "kv export",
    synopsis: "Exports a tree from the KV store as JSON",
    usage: "Usage: consul kv export [KEY_OR_PREFIX]\n\n  \
        Writes all pairs whose key begins with the prefix to standard output, as JSON that\n  \
        \"consul kv import\" reads.\n\n      $ consul kv export vault",
    flags: &[],
    reach: Reach::Namespaced,
};

pub(super) const IMPORT: Command = Command {
    path: "kv import",
    synopsis: "Imports a tree stored as JSON to the KV store",
    usage: "Usage: consul kv import [DATA]\n\n  \
        Writes the pairs that \"consul kv export\" has written. The data can be read from a file:\n\n      \
        $ consul kv import @filename.json\n\n  \
        or from standard input:\n\n      $ cat filename.json | consul kv import -\n\n  \
        or be the argument itself.",
    flags: &[],
    reach: Reach::Namespaced,
};

/// A pair in the file.
#[derive(Serialize)]
struct Pair {
    key: String,
    flags: u64,
    /// In base 64.
    value: String,
}

/// A pair of the API.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    flags: u64,
    value: Option<String>,
}

/// `kv export`.
pub(super) async fn export<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = EXPORT.parse(args, terminal)?;
    let prefix = match flags.rest.as_slice() {
        [] => "",
        [prefix] => key_of(prefix),
        many => {
            let text = format!("Too many arguments (expected 1, got {})", many.len());
            return Err(terminal.fail(text));
        }
    };
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let entries = match api.kv(Method::GET, prefix, &[("recurse", "")], Bytes::new()).await {
        Ok(Found::Nothing) => Ok(Vec::new()),
        Ok(Found::Body(body)) => serde_json::from_slice::<Vec<Entry>>(&body)
            .map_err(|error| format!("malformed answer: {error}")),
        Err(why) => Err(why),
    };
    let entries =
        entries.map_err(|why| terminal.fail(format!("Error querying Consul agent: {why}")))?;
    let pairs = entries.into_iter().map(|Entry { key, flags, value }| {
        let value = value.unwrap_or_default();
        Pair { key, flags, value }
    });
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    let pairs: Vec<Pair> = pairs.collect();
    pairs.serialize(&mut serializer).expect("names are strings and memory takes all bytes");
    terminal.line(text);
    Ok(())
}

/// `kv import`.
pub(super) async fn import<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = IMPORT.parse(args, terminal)?;
    let argument = match flags.rest.as_slice() {
        [] => return Err(terminal.fail("Error! Missing DATA argument")),
        [data] if data.is_empty() => return Err(terminal.fail("Error! Empty DATA argument")),
        [data] => data,
        many => {
            let text = format!("Error! Too many arguments (expected 1, got {})", many.len());
            return Err(terminal.fail(text));
        }
    };
    let data = files::data(runtime, argument, terminal).await;
    let data = data.map_err(|why| terminal.fail(format!("Error! {why}")))?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let pairs =
        pairs_of(&data).map_err(|why| terminal.fail(format!("Cannot unmarshal data: {why}")))?;
    for Pair { key, flags, value } in pairs {
        let value = go_base64::decode(&value).map_err(|why| {
            terminal.fail(format!("Error base 64 decoding value for key {key}: {why}"))
        })?;
        let flags_text = flags.to_string();
        let params: &[(&str, &str)] = if flags == 0 { &[] } else { &[("flags", &flags_text)] };
        let written = match api.kv(Method::PUT, &key, params, value.into()).await {
            Ok(Found::Body(_)) => Ok(()),
            Ok(Found::Nothing) => Err("Unexpected response code: 404 ()".to_owned()),
            Err(why) => Err(why),
        };
        written.map_err(|why| {
            terminal.fail(format!("Error! Failed writing data for key {key}: {why}"))
        })?;
        terminal.line(format!("Imported: {key}"));
    }
    Ok(())
}

/// The pairs of a file. Fields are known in any case, others are not heard, and one that is absent or null
/// is empty: so does Go.
fn pairs_of(data: &[u8]) -> Result<Vec<Pair>, String> {
    use serde_json::{Map, Value};
    let entries: Option<Vec<Map<String, Value>>> =
        serde_json::from_slice(data).map_err(|error| error.to_string())?;
    let pair = |object: Map<String, Value>| {
        let mut pair = Pair { key: String::new(), flags: 0, value: String::new() };
        for (name, value) in object {
            let wrong = || format!("{} is no {value}", name.to_ascii_lowercase());
            match (name.to_ascii_lowercase().as_str(), &value) {
                (_, Value::Null) => {}
                ("key", Value::String(text)) => pair.key.clone_from(text),
                ("value", Value::String(text)) => pair.value.clone_from(text),
                ("flags", number) => pair.flags = number.as_u64().ok_or_else(wrong)?,
                ("key" | "value", _) => return Err(wrong()),
                _ => {}
            }
        }
        Ok(pair)
    };
    entries.unwrap_or_default().into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_go_reads_them() {
        let text = br#"[{"KEY": "a", "Flags": 7, "value": "b25l", "more": 1}, {"key": "b", "value": null}]"#;
        let pairs = pairs_of(text).expect("pairs");
        let shown: Vec<_> =
            pairs.iter().map(|pair| (pair.key.as_str(), pair.flags, pair.value.as_str())).collect();
        assert_eq!(shown, [("a", 7, "b25l"), ("b", 0, "")]);
        assert!(pairs_of(b"null").expect("nothing").is_empty());
        for bad in
            ["nope", "{}", "[1]", r#"[{"key": 1}]"#, r#"[{"flags": "x"}]"#, r#"[{"flags": -1}]"#]
        {
            assert!(pairs_of(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
