//! The keys of a pool: which of them encrypts, and the file that keeps them (spec cluster 1.7).
//!
//! Invariants: no key is in the ring twice; the first is the primary, which encrypts and cannot be
//! removed; decryption tries all in order. An empty ring means that gossip is not encrypted.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::crypto::Key;

/// Keys, the primary first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    keys: Vec<Key>,
}

/// What cannot be done with a ring, in memberlist's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyringError {
    /// Not 16, 24 or 32 bytes.
    KeySize,
    /// Only an installed key can become the primary.
    NotInstalled,
    /// Another key must become the primary first.
    RemovesPrimary,
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyringError::KeySize => "key size must be 16, 24 or 32 bytes",
            KeyringError::NotInstalled => "requested key is not in the keyring",
            KeyringError::RemovesPrimary => "removing the primary key is not allowed",
        })
    }
}

impl std::error::Error for KeyringError {}

/// Why a file holds no keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyringFileError {
    /// Not an array of strings.
    Json(String),
    /// A string that is not base64.
    Base64(String),
    /// A key that cannot be one.
    Key(KeyringError),
    /// An empty array.
    NoKeys,
}

impl fmt::Display for KeyringFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyringFileError::Json(why) => write!(f, "error unmarshaling keyring: {why}"),
            KeyringFileError::Base64(why) => write!(f, "failed to decode key from keyring: {why}"),
            KeyringFileError::Key(why) => write!(f, "failed to restore keyring: {why}"),
            KeyringFileError::NoKeys => f.write_str("no keys present in keyring file"),
        }
    }
}

impl std::error::Error for KeyringFileError {}

impl Keyring {
    /// No keys: no encryption.
    #[must_use]
    pub const fn new() -> Self {
        Self { keys: Vec::new() }
    }

    /// All keys, the primary first.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The key that encrypts.
    #[must_use]
    pub fn primary(&self) -> Option<&Key> {
        self.keys.first()
    }

    /// Whether gossip is not encrypted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        self.keys.iter().position(|it| it.bytes() == key)
    }

    /// Adds a key at the end; nothing happens when it is there.
    ///
    /// # Errors
    /// [`KeyringError::KeySize`].
    pub fn add(&mut self, key: &[u8]) -> Result<(), KeyringError> {
        let ready = Key::new(key).ok_or(KeyringError::KeySize)?;
        if self.position(key).is_none() {
            self.keys.push(ready);
        }
        Ok(())
    }

    /// Makes a key the primary; the others keep their order.
    ///
    /// # Errors
    /// [`KeyringError::NotInstalled`].
    pub fn make_primary(&mut self, key: &[u8]) -> Result<(), KeyringError> {
        let position = self.position(key).ok_or(KeyringError::NotInstalled)?;
        self.keys[..=position].rotate_right(1);
        Ok(())
    }

    /// Removes a key; nothing happens when it is not there.
    ///
    /// # Errors
    /// [`KeyringError::RemovesPrimary`].
    pub fn remove(&mut self, key: &[u8]) -> Result<(), KeyringError> {
        match self.position(key) {
            Some(0) => Err(KeyringError::RemovesPrimary),
            Some(position) => {
                self.keys.remove(position);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Reads the text of a keyring file: a JSON array of keys in base64.
    ///
    /// # Errors
    /// See [`KeyringFileError`].
    pub fn from_file_text(text: &str) -> Result<Self, KeyringFileError> {
        let texts: Vec<String> = serde_json::from_str(text)
            .map_err(|error| KeyringFileError::Json(error.to_string()))?;
        let mut ring = Self::new();
        for text in texts {
            let key = STANDARD
                .decode(text)
                .map_err(|error| KeyringFileError::Base64(error.to_string()))?;
            ring.add(&key).map_err(KeyringFileError::Key)?;
        }
        if ring.is_empty() { Err(KeyringFileError::NoKeys) } else { Ok(ring) }
    }

    /// The text of a keyring file, as Serf writes it.
    #[must_use]
    pub fn to_file_text(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(|it| STANDARD.encode(it.bytes())).collect();
        serde_json::to_string_pretty(&keys).expect("an array of strings is JSON")
    }
}
