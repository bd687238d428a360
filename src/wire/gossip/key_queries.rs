//! What a member does when Serf asks it about its keys (spec cluster 2.14): the four queries, and the answer.
//!
//! ```text
//!   _serf_install-key │ _serf_use-key │ _serf_remove-key    { Key } ─► Keyring ─► { Result, Message }
//!   _serf_list-keys                                                 ─► { Keys, PrimaryKey, Result }
//! ```
//!
//! Only a pool that is encrypted has keys to change: in any other every query is refused, in Serf's words.
//! Pure: who writes the keyring file, and sends the answer, is outside.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{CODEC, KeyResponse, Keyring, KeyringError, decode_key_request, encode_key_response};
use crate::base::NodeName;
use crate::gossip::{Message, QueryKey, QueryResponse, SerfMessage};

/// An answer of more bytes is not sent (`QueryResponseSizeLimit`).
const ANSWER_BYTES_MAX: usize = 1024;
/// The shortest key in an answer takes so many.
const LISTED_KEY_BYTES: usize = 25;

/// What is done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum KeyAction {
    List,
    Install,
    Use,
    Remove,
}

impl KeyAction {
    const ALL: [KeyAction; 4] =
        [KeyAction::List, KeyAction::Install, KeyAction::Use, KeyAction::Remove];

    /// The query that asks for it.
    #[must_use]
    pub fn query_name(self) -> &'static str {
        match self {
            KeyAction::List => "_serf_list-keys",
            KeyAction::Install => "_serf_install-key",
            KeyAction::Use => "_serf_use-key",
            KeyAction::Remove => "_serf_remove-key",
        }
    }

    /// What the query of this name asks for.
    #[must_use]
    pub fn of_query(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.query_name() == name)
    }

    /// Consul's word in requests between servers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            KeyAction::List => "list",
            KeyAction::Install => "install",
            KeyAction::Use => "use",
            KeyAction::Remove => "remove",
        }
    }

    /// What that word asks for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }
}

/// Does what a query asks for. `Ok`: the answer, which counts once the ring is in its file, when `true`
/// says that it may have changed.
///
/// # Errors
/// The answer that says why not, with the text for the log.
pub fn apply_key_query(
    action: KeyAction,
    payload: &[u8],
    ring: &mut Keyring,
) -> Result<(KeyResponse, bool), (KeyResponse, String)> {
    if ring.is_empty() {
        let text = match action {
            KeyAction::List => "Keyring is empty (encryption not enabled)",
            _ => "No keyring to modify (encryption not enabled)",
        };
        return Err((refusal(text), text.to_owned()));
    }
    let change: fn(&mut Keyring, &[u8]) -> Result<(), KeyringError> = match action {
        KeyAction::List => return Ok((listed(ring), false)),
        KeyAction::Install => Keyring::add,
        KeyAction::Use => Keyring::make_primary,
        KeyAction::Remove => Keyring::remove,
    };
    // Serf answers a request that it cannot read with a bare failure.
    let request = decode_key_request(payload)
        .map_err(|error| (refusal(""), format!("Failed to decode key request: {error}")))?;
    match change(ring, &request.key) {
        Ok(()) => Ok((KeyResponse { result: true, ..KeyResponse::default() }, true)),
        Err(error) => {
            let what = match action {
                KeyAction::Use => "change primary key",
                KeyAction::Remove => "remove key",
                KeyAction::Install | KeyAction::List => "install key",
            };
            Err((refusal(&error.to_string()), format!("Failed to {what}: {error}")))
        }
    }
}

/// An answer that says that it did not work, and why.
fn refusal(why: &str) -> KeyResponse {
    KeyResponse { message: why.to_owned(), ..KeyResponse::default() }
}

fn listed(ring: &Keyring) -> KeyResponse {
    let keys: Vec<String> = ring.keys().iter().map(|key| STANDARD.encode(key.bytes())).collect();
    let primary_key = keys.first().cloned().unwrap_or_default();
    KeyResponse { result: true, message: String::new(), keys, primary_key }
}

/// The payload of an answer. Of a list too long for one answer the first keys are told, and how many
/// there are.
#[must_use]
pub fn encode_key_answer(query: QueryKey, from: &NodeName, mut response: KeyResponse) -> Bytes {
    let actual = response.keys.len();
    let mut told = actual.min(ANSWER_BYTES_MAX / LISTED_KEY_BYTES);
    loop {
        let payload = encode_key_response(&response);
        if answer_len(query, from, &payload) <= ANSWER_BYTES_MAX || response.keys.is_empty() {
            return payload;
        }
        response.keys.truncate(told);
        response.message =
            format!("truncated key list response, showing first {told} of {actual} keys");
        told = told.saturating_sub(1);
    }
}

/// Bytes of the whole answer, as Serf measures it: with Serf's type byte, without memberlist's.
fn answer_len(query: QueryKey, from: &NodeName, payload: &Bytes) -> usize {
    let payload = Some(payload.clone());
    let QueryKey { time, id } = query;
    let answer = QueryResponse { time, id, from: from.clone(), flags: 0, payload };
    let message = Message::User(SerfMessage::QueryResponse(answer));
    (CODEC.message_len)(&message).saturating_sub(1)
}
