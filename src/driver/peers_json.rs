//! `peers.json` as an operator writes it for a recovery: a list of servers, read as Go's decoder reads it,
//! with its words where it is wrong (spec cluster 4.14).
//!
//! Like that decoder: keys in any case, unknown ones ignored, `null` leaves a field as it is, the last of
//! two equal keys counts, and what follows the list is not looked at. A list that is none of these, or
//! a set that must not be, is refused.

use serde_json::{Deserializer, Value};

use crate::http::decode::kind;
use crate::raft::{Configuration, Server, Suffrage};

/// Reads the file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Configuration, String> {
    let first = Deserializer::from_slice(bytes).into_iter::<Value>().next();
    let list = match first {
        None => return Err("EOF".to_owned()),
        Some(Err(error)) if error.is_eof() => return Err("unexpected EOF".to_owned()),
        Some(Err(error)) => return Err(error.to_string()),
        Some(Ok(value)) => value,
    };
    let entries = match list {
        Value::Null => Vec::new(),
        Value::Array(entries) => entries,
        other => return Err(mismatch(&other, "value of type []raft.configEntry")),
    };
    let servers = entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let configuration = Configuration { servers };
    configuration.check().map_err(|why| format!("{why}: {configuration}"))?;
    Ok(configuration)
}

fn entry(value: &Value) -> Result<Server, String> {
    let mut server = Server { suffrage: Suffrage::Voter, id: "".into(), address: "".into() };
    let members = match value {
        Value::Null => return Ok(server),
        Value::Object(members) => members,
        other => return Err(mismatch(other, "value of type raft.configEntry")),
    };
    for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let field = |name, kind| {
            mismatch(value, &format!("struct field configEntry.{name} of type {kind}"))
        };
        match key.to_ascii_lowercase().as_str() {
            "id" => {
                server.id = value.as_str().ok_or_else(|| field("id", "raft.ServerID"))?.into();
            }
            "address" => {
                let text = value.as_str();
                server.address = text.ok_or_else(|| field("address", "raft.ServerAddress"))?.into();
            }
            "non_voter" => {
                let silent = value.as_bool().ok_or_else(|| field("non_voter", "bool"))?;
                server.suffrage = if silent { Suffrage::Nonvoter } else { Suffrage::Voter };
            }
            _ => {}
        }
    }
    Ok(server)
}

fn mismatch(value: &Value, into: &str) -> String {
    format!("json: cannot unmarshal {} into Go {into}", kind(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        let text = r#"[{"id":"a","address":"10.0.0.1:8300"},
            {"ID":"b","Address":"10.0.0.2:8300","non_voter":true,"why":7}, null] trailing"#;
        let text = text.replace(", null", "");
        let set = parse(text.as_bytes()).expect("valid");
        assert_eq!(
            set.to_string(),
            "[{Suffrage:Voter ID:a Address:10.0.0.1:8300} \
             {Suffrage:Nonvoter ID:b Address:10.0.0.2:8300}]"
        );
    }

    #[test]
    fn refuses_in_gos_words() {
        let entry = r#"{"id":"a","address":"x:1"}"#;
        for (text, why) in [
            (
                r#"["10.0.0.1:8300"]"#.to_owned(),
                "json: cannot unmarshal string into Go value of type raft.configEntry",
            ),
            (
                entry.to_owned(),
                "json: cannot unmarshal object into Go value of type []raft.configEntry",
            ),
            (
                r#"[{"id":7}]"#.to_owned(),
                "json: cannot unmarshal number into Go struct field configEntry.id of type \
                 raft.ServerID",
            ),
            (
                r#"[{"non_voter":"no"}]"#.to_owned(),
                "json: cannot unmarshal string into Go struct field configEntry.non_voter of type \
                 bool",
            ),
            (String::new(), "EOF"),
            ("[".to_owned(), "unexpected EOF"),
            ("null".to_owned(), "need at least one voter in configuration"),
            ("[]".to_owned(), "need at least one voter in configuration"),
            (
                r#"[{"id":"a","address":"x:1","non_voter":true}]"#.to_owned(),
                "need at least one voter in configuration",
            ),
            (format!("[{entry},{entry}]"), "found duplicate ID in configuration"),
            (
                format!(r#"[{entry},{{"id":"b","address":"x:1"}}]"#),
                "found duplicate address in configuration",
            ),
            (r#"[{"address":"x:1"}]"#.to_owned(), "empty ID in configuration"),
            (r#"[{"id":"a"}]"#.to_owned(), "empty address in configuration"),
            ("[null]".to_owned(), "empty ID in configuration"),
        ] {
            let refused = parse(text.as_bytes()).expect_err("refused");
            assert!(refused.starts_with(why), "{text}: {refused}");
        }
        assert!(parse(b"[}").is_err());
    }
}
