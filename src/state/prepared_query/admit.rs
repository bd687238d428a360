//! What the leader asks of a definition before it goes into the log (spec api 2.13). Texts are Consul
//! 1.9.8's.

use std::collections::BTreeMap;

use super::{PreparedQuery, PreparedQueryCommand, ServiceQuery};
use crate::base::go_duration;
use crate::state::StateStore;

/// What Consul shows in the place of a token, and nobody may store.
const REDACTED: &str = "<hidden>";
/// Pairs in one filter by meta.
const META_PAIRS_MAX: usize = 64;
/// Of a key of meta, bytes.
const META_KEY_MAX: usize = 128;
/// Of a value, bytes.
const META_VALUE_MAX: usize = 512;

impl PreparedQueryCommand {
    /// Completes and checks it against the leader's own state; `new_id` gives random UUIDs.
    ///
    /// # Errors
    /// Consul's text.
    pub fn admit(
        &mut self,
        store: &StateStore,
        mut new_id: impl FnMut() -> String,
    ) -> Result<(), String> {
        match self {
            PreparedQueryCommand::Create(query) => {
                if !query.id.is_empty() {
                    return Err("ID must be empty when creating a new prepared query".to_owned());
                }
                query.id = new_id();
                while store.prepared_query(&query.id).is_some() {
                    query.id = new_id();
                }
                query.admit()
            }
            PreparedQueryCommand::Update(query) => {
                refuse_unknown(store, &query.id)?;
                query.admit()
            }
            PreparedQueryCommand::Delete { id } => refuse_unknown(store, id),
        }
    }
}

fn refuse_unknown(store: &StateStore, id: &str) -> Result<(), String> {
    check_id(id).map_err(|why| format!("Prepared Query lookup failed: {why}"))?;
    match store.prepared_query(id) {
        Some(_) => Ok(()),
        None => Err(format!("Cannot modify non-existent prepared query: '{id}'")),
    }
}

/// Whether a definition can be looked for by this id.
pub(super) fn check_id(id: &str) -> Result<(), String> {
    if id.len() != 36 {
        let text = "failed prepared query lookup: index error: UUID must be 36 characters";
        return Err(text.to_owned());
    }
    if is_uuid(id) {
        return Ok(());
    }
    Err("failed prepared query lookup: index error: Invalid UUID".to_owned())
}

/// Whether a text has the form of a UUID, in either case.
pub(super) fn is_uuid(text: &str) -> bool {
    crate::base::ids::is_uuid(&text.to_ascii_lowercase())
}

impl PreparedQuery {
    fn admit(&self) -> Result<(), String> {
        self.refuse().map_err(|why| format!("Invalid prepared query: {why}"))
    }

    fn refuse(&self) -> Result<(), String> {
        if self.name.is_empty() && !self.is_template() && self.session.is_empty() {
            return Err("Must be bound to a session".to_owned());
        }
        if self.token == REDACTED {
            return Err(format!(
                "Bad Token '{REDACTED}', it looks like a query definition with a redacted token was submitted"
            ));
        }
        self.service.refuse()?;
        match self.dns_ttl.as_str() {
            "" => Ok(()),
            text => match go_duration::parse(text) {
                None => Err(format!("Bad DNS TTL '{text}': time: invalid duration {text:?}")),
                Some(nanos) if nanos < 0 => Err(format!("DNS TTL '{nanos}', must be >=0")),
                Some(_) => Ok(()),
            },
        }
    }
}

impl ServiceQuery {
    fn refuse(&self) -> Result<(), String> {
        if self.service.is_empty() {
            return Err("Must provide a Service name to query".to_owned());
        }
        let nearest = self.failover.nearest_n;
        if nearest < 0 {
            return Err(format!("Bad NearestN '{nearest}', must be >= 0"));
        }
        refuse_meta(&self.node_meta).map_err(|why| format!("Invalid NodeMeta filters: {why}"))
    }
}

/// Consul's own keys, `consul-…`, may be asked for.
fn refuse_meta(meta: &BTreeMap<String, String>) -> Result<(), String> {
    if meta.len() > META_PAIRS_MAX {
        return Err(format!(
            "Node metadata cannot contain more than {META_PAIRS_MAX} key/value pairs"
        ));
    }
    for (key, value) in meta {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let why = if key.is_empty() {
            "Key cannot be blank".to_owned()
        } else if !key.bytes().all(letter) {
            "Key contains invalid characters".to_owned()
        } else if key.len() > META_KEY_MAX {
            format!("Key is too long (limit: {META_KEY_MAX} characters)")
        } else if value.len() > META_VALUE_MAX {
            format!("Value is too long (limit: {META_VALUE_MAX} characters)")
        } else {
            continue;
        };
        return Err(format!("Couldn't load metadata pair ('{key}', '{value}'): {why}"));
    }
    Ok(())
}
