//! `kv put` and `kv delete` (spec api 5.11).

use bytes::Bytes;
use hyper::Method;

use crate::base::go_base64;
use crate::base::runtime::Runtime;
use crate::cli::api::{Api, CLIENT_FLAGS, Found, SERVER_FLAGS};
use crate::cli::command::{Command, Reach};
use crate::cli::{Terminal, files};
use crate::config::flags::{Flag, Parsed, Takes};

pub(super) const GROUP: Command = Command {
    path: "kv",
    synopsis: "Interact with the key-value store",
    usage: "Usage: consul kv <subcommand> [options] [args]\n\n  \
        Reads and writes Consul's key-value store.\n\n  \
        Create or update the key named \"redis/config/connections\" with the value \"5\":\n\n      \
        $ consul kv put redis/config/connections 5\n\n  \
        Read this value back:\n\n      \
        $ consul kv get redis/config/connections\n\n  \
        Delete it:\n\n      \
        $ consul kv delete redis/config/connections",
    flags: &[],
    reach: Reach::Nobody,
};

pub(super) const PUT: Command = Command {
    path: "kv put",
    synopsis: "Sets or updates data in the KV store",
    usage: "Usage: consul kv put [options] KEY [DATA]\n\n  \
        Writes the data to the key. Without data, it becomes empty.\n\n      \
        $ consul kv put config/redis/maxconns 5\n\n  \
        The data can be read from a file or from standard input:\n\n      \
        $ consul kv put config/program/license @license.lic\n      \
        $ echo \"abcd1234\" | consul kv put config/program/license -\n\n  \
        Only if the key has not changed since its ModifyIndex was 844:\n\n      \
        $ consul kv put -cas -modify-index=844 config/redis/maxconns 5",
    flags: PUT_FLAGS,
    reach: Reach::Namespaced,
};

pub(super) const DELETE: Command = Command {
    path: "kv delete",
    synopsis: "Removes data from the KV store",
    usage: "Usage: consul kv delete [options] KEY_OR_PREFIX\n\n  \
        Removes a key, or all keys with a prefix. A key that is not there is no error.\n\n      \
        $ consul kv delete foo\n      \
        $ consul kv delete -recurse foo",
    flags: DELETE_FLAGS,
    reach: Reach::Namespaced,
};

const PUT_FLAGS: &[Flag] = &[
    Flag {
        name: "acquire",
        takes: Takes::Bool,
        help: "Obtain a lock on the key, which is created if it is not there. Needs -session.",
    },
    Flag {
        name: "base64",
        takes: Takes::Bool,
        help: "Treat the data as base 64 encoded. The default is false.",
    },
    Flag {
        name: "cas",
        takes: Takes::Bool,
        help: "Perform a Check-And-Set operation: write only if the key's ModifyIndex is that of \
               -modify-index; without one, only if there is no such key.",
    },
    Flag {
        name: "flags",
        takes: Takes::Number,
        help: "Unsigned integer to assign to the pair, for the use of clients. The default is 0.",
    },
    Flag {
        name: "modify-index",
        takes: Takes::Number,
        help: "Unsigned integer representing the ModifyIndex of the key, for -cas.",
    },
    Flag {
        name: "release",
        takes: Takes::Bool,
        help: "Forfeit the lock on the key. Needs the -session that holds it.",
    },
    Flag { name: "session", takes: Takes::Text, help: "ID of the session that locks or unlocks." },
];

const DELETE_FLAGS: &[Flag] = &[
    Flag {
        name: "cas",
        takes: Takes::Bool,
        help: "Perform a Check-And-Set operation. Needs -modify-index.",
    },
    Flag {
        name: "modify-index",
        takes: Takes::Number,
        help: "Unsigned integer representing the ModifyIndex of the key, for -cas.",
    },
    Flag {
        name: "recurse",
        takes: Takes::Bool,
        help: "Delete all keys with the prefix. The default is false.",
    },
];

/// The flags of a command and those of every command.
pub(super) fn with_http(own: &[Flag]) -> Vec<Flag> {
    [CLIENT_FLAGS, SERVER_FLAGS, own].concat()
}

/// A leading slash is dropped: no key begins with one, but users type it.
pub(super) fn key_of(arg: &str) -> &str {
    arg.strip_prefix('/').unwrap_or(arg)
}

pub(super) async fn put<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = PUT.parse(args, terminal)?;
    let (key, data) = match flags.rest.as_slice() {
        [] => return Err(terminal.fail("Error! Missing KEY argument")),
        [key] => (key_of(key), None),
        [key, data] => (key_of(key), Some(data.as_str())),
        many => {
            let text = format!("Error! Too many arguments (expected 1 or 2, got {})", many.len());
            return Err(terminal.fail(text));
        }
    };
    let data = match files::data(runtime, data.unwrap_or_default(), terminal).await {
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
    // Consul's client says nothing of flags that are zero.
    let mut params = vec![("flags", flags_text)];
    params.retain(|_| flags.number("flags").unwrap_or(0) != 0);
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
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

/// With `-base64`, the decoded data. What cannot be decoded is complained of and written as nothing:
/// so does Consul (recorded behaviour).
fn decoded(flags: &Parsed, data: Vec<u8>, terminal: &mut Terminal<'_>) -> Bytes {
    if flags.switch("base64") != Some(true) {
        return data.into();
    }
    match go_base64::decode(&data) {
        Ok(value) => value.into(),
        Err(error) => {
            terminal.fail(format!("Error! Cannot base 64 decode data: {error}"));
            Bytes::new()
        }
    }
}

pub(super) async fn delete<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = DELETE.parse(args, terminal)?;
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
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
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
