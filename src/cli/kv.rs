//! `kv put` and `kv delete`, and the choice among the `kv` commands (spec api 5.11).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;

use crate::base::runtime::{Disk, Runtime};
use crate::cli::api::{Api, Found, HTTP_FLAGS};
use crate::cli::{Terminal, kv_get, parse_flags};
use crate::config::flags::{Flag, Parsed, Takes};

const USAGE: &str = "Usage: consul kv <subcommand> [options] [args]\n\n\
    Subcommands:\n    \
    delete    Removes data from the KV store\n    \
    get       Retrieves or lists data from the KV store\n    \
    put       Sets or updates data in the KV store";

const PUT_FLAGS: &[Flag] = &[
    Flag { name: "acquire", takes: Takes::Bool, help: "Obtain a lock on the key." },
    Flag { name: "base64", takes: Takes::Bool, help: "Treat the data as base 64 encoded." },
    Flag { name: "cas", takes: Takes::Bool, help: "Perform a Check-And-Set operation." },
    Flag { name: "flags", takes: Takes::Number, help: "Unsigned integer to assign to the pair." },
    Flag { name: "modify-index", takes: Takes::Number, help: "The ModifyIndex of the key." },
    Flag { name: "release", takes: Takes::Bool, help: "Forfeit the lock on the key." },
    Flag { name: "session", takes: Takes::Text, help: "Session identifier of the lock." },
];

const DELETE_FLAGS: &[Flag] = &[
    Flag { name: "cas", takes: Takes::Bool, help: "Perform a Check-And-Set operation." },
    Flag { name: "modify-index", takes: Takes::Number, help: "The ModifyIndex of the key." },
    Flag { name: "recurse", takes: Takes::Bool, help: "Delete all keys with the prefix." },
];

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> i32 {
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", args),
    };
    let done = match command {
        "get" => kv_get::run(runtime, rest, terminal).await,
        "put" => put(runtime, rest, terminal).await,
        "delete" => delete(runtime, rest, terminal).await,
        "-h" | "-help" | "--help" => {
            terminal.line(USAGE);
            Ok(())
        }
        _ => Err(terminal.fail(USAGE)),
    };
    done.err().unwrap_or(0)
}

/// The flags of a command and those of every command.
pub(super) fn with_http(own: &[Flag]) -> Vec<Flag> {
    own.iter().chain(&HTTP_FLAGS).copied().collect()
}

/// A leading slash is dropped: no key begins with one, but users type it.
pub(super) fn key_of(arg: &str) -> &str {
    arg.strip_prefix('/').unwrap_or(arg)
}

async fn put<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let usage = "Usage: consul kv put [options] KEY [DATA]";
    let flags = parse_flags(&with_http(PUT_FLAGS), usage, args, terminal)?;
    let (key, data) = match flags.rest.as_slice() {
        [] => return Err(terminal.fail("Error! Missing KEY argument")),
        [key] => (key_of(key), None),
        [key, data] => (key_of(key), Some(data.as_str())),
        many => {
            let text = format!("Error! Too many arguments (expected 1 or 2, got {})", many.len());
            return Err(terminal.fail(text));
        }
    };
    let data = match data_of(runtime, data.unwrap_or_default(), terminal).await {
        Ok(data) => data,
        Err(text) => return Err(terminal.fail(format!("Error! {text}"))),
    };
    let value = decoded(&flags, data, terminal);
    let on = |name| flags.switch(name) == Some(true);
    let session = flags.text("session").unwrap_or_default();
    if (on("acquire") || on("release")) && session.is_empty() {
        let text = "Error! Missing -session (required with -acquire and -release)";
        return Err(terminal.fail(text));
    }
    let index = flags.number("modify-index").unwrap_or(0);
    let (index_text, flags_text) = (index.to_string(), flags.text("flags").unwrap_or("0"));
    let mut params = vec![("flags", flags_text)];
    let api = Api::new(runtime, &flags, terminal).map_err(|text| terminal.fail(text))?;
    let (done, refused, failed) = if on("cas") {
        params.push(("cas", &index_text));
        let refused = match index {
            0 => format!(
                "Error! Did not write to {key}: CAS performed with index=0 and key already exists."
            ),
            _ => format!("Error! Did not write to {key}: CAS failed"),
        };
        ("Data written to", refused, format!("Error! Did not write to {key}"))
    } else if on("acquire") {
        params.push(("acquire", session));
        ("Lock acquired on", "Error! Did not acquire lock".to_owned(), failing())
    } else if on("release") {
        params.push(("release", session));
        ("Lock released on", "Error! Did not release lock".to_owned(), failing())
    } else {
        ("Data written to", failing(), failing())
    };
    match api.kv(Method::PUT, key, &params, value).await {
        Ok(Found::Body(body)) if body.starts_with(b"true") => {
            terminal.line(format!("Success! {done}: {key}"));
            Ok(())
        }
        Ok(_) => Err(terminal.fail(refused)),
        Err(text) => Err(terminal.fail(format!("{failed}: {text}"))),
    }
}

fn failing() -> String {
    "Error! Failed writing data".to_owned()
}

/// The bytes to write: as given, from a file (`@name`), or from standard input (`-`).
async fn data_of<R: Runtime>(
    runtime: &R,
    data: &str,
    terminal: &mut Terminal<'_>,
) -> Result<Vec<u8>, String> {
    if data == "-" {
        let mut read = Vec::new();
        return match terminal.stdin.read_to_end(&mut read) {
            Ok(_) => Ok(read),
            Err(error) => Err(format!("Failed to read stdin: {error}")),
        };
    }
    let Some(name) = data.strip_prefix('@') else {
        return Ok(data.as_bytes().to_vec());
    };
    let path = Path::new(name);
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    runtime.disk(folder).read(&file).await.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => error.to_string(),
        };
        format!("Failed to read file: open {name}: {why}")
    })
}

/// With `-base64`, the decoded data. What cannot be decoded is complained of and written as nothing:
/// so does Consul (recorded behaviour).
fn decoded(flags: &Parsed, data: Vec<u8>, terminal: &mut Terminal<'_>) -> Bytes {
    if flags.switch("base64") != Some(true) {
        return data.into();
    }
    match STANDARD.decode(&data) {
        Ok(value) => value.into(),
        Err(error) => {
            terminal.fail(format!("Error! Cannot base 64 decode data: {error}"));
            Bytes::new()
        }
    }
}

async fn delete<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let usage = "Usage: consul kv delete [options] KEY_OR_PREFIX";
    let flags = parse_flags(&with_http(DELETE_FLAGS), usage, args, terminal)?;
    let (recurse, cas) = (flags.switch("recurse") == Some(true), flags.switch("cas") == Some(true));
    let index = flags.number("modify-index");
    let key = match flags.rest.as_slice() {
        [] if recurse => "",
        [] => return Err(terminal.fail("Error! Missing KEY argument")),
        [key] => key_of(key),
        many => {
            let text = format!("Too many arguments (expected 1, got {})", many.len());
            return Err(terminal.fail(text));
        }
    };
    if key.is_empty() && !recurse {
        return Err(terminal.fail("Error! Missing KEY argument"));
    }
    let refused = match (cas, recurse, index.unwrap_or(0)) {
        (true, true, _) => Some("Cannot specify both -cas and -recurse!"),
        (false, _, 1..) => Some("Cannot specify -modify-index without -cas!"),
        (true, false, 0) => Some(
            "Cannot delete a key that does not exist. Provide a -modify-index greater than than 0.",
        ),
        _ => None,
    };
    if let Some(text) = refused {
        return Err(terminal.fail(text));
    }
    let index_text = index.unwrap_or(0).to_string();
    let params: &[(&str, &str)] = match (recurse, cas) {
        (true, _) => &[("recurse", "")],
        (_, true) => &[("cas", &index_text)],
        _ => &[],
    };
    let kind = if recurse { "prefix" } else { "key" };
    let api = Api::new(runtime, &flags, terminal).map_err(|text| terminal.fail(text))?;
    match api.kv(Method::DELETE, key, params, Bytes::new()).await {
        Ok(Found::Body(body)) if body.starts_with(b"true") => {
            let what = if recurse { "keys with prefix" } else { "key" };
            terminal.line(format!("Success! Deleted {what}: {key}"));
            Ok(())
        }
        Ok(_) => Err(terminal.fail(format!("Error! Did not delete {kind} {key}: CAS failed"))),
        Err(text) => Err(terminal.fail(format!("Error! Did not delete {kind} {key}: {text}"))),
    }
}
