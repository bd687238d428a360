//! Encryption of gossip: AES-GCM with a key that all members share (spec cluster 1.7).
//!
//! ```text
//!   version │ nonce, 12 bytes │ ciphertext │ tag, 16 bytes
//! ```
//!
//! Version 1 encrypts the message as it is; version 0, of members that speak only protocol 1, pads it
//! to whole blocks before. Associated data is the label of a datagram (none here), and of a stream's
//! frame its first five bytes.
//!
//! Promised: a nonce is used as given, so whoever gives it must never give it twice for one key; a key
//! never shows in debug output; nothing of a message is given out whose tag does not fit.

use std::fmt;

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::{Aes128, Aes192, Aes256};
use aes_gcm::{AesGcm, Nonce, Tag};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const BLOCK_BYTES: usize = 16;
/// Before the ciphertext.
const HEAD_BYTES: usize = 1 + NONCE_BYTES;

/// How a sealed message is padded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum EncryptionVersion {
    /// To whole blocks, as PKCS7 says.
    Padded,
    /// Not at all: what everybody sends.
    #[default]
    Plain,
}

impl EncryptionVersion {
    /// Bytes that sealing adds at most: a datagram has so many less for messages.
    #[must_use]
    pub const fn overhead(self) -> usize {
        match self {
            EncryptionVersion::Padded => HEAD_BYTES + BLOCK_BYTES + TAG_BYTES,
            EncryptionVersion::Plain => HEAD_BYTES + TAG_BYTES,
        }
    }

    /// Bytes of a sealed message of so many.
    #[must_use]
    pub const fn sealed_len(self, plain: usize) -> usize {
        match self {
            EncryptionVersion::Padded => self.overhead() + plain - plain % BLOCK_BYTES,
            EncryptionVersion::Plain => self.overhead() + plain,
        }
    }
}

#[derive(Clone)]
enum Cipher {
    Aes128(Box<AesGcm<Aes128, U12>>),
    Aes192(Box<AesGcm<Aes192, U12>>),
    Aes256(Box<AesGcm<Aes256, U12>>),
}

/// A key, ready for use.
#[derive(Clone)]
pub struct Key {
    bytes: Vec<u8>,
    cipher: Cipher,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key of {} bytes", self.bytes.len())
    }
}

impl Key {
    /// A key of 16, 24 or 32 bytes; none for any other length.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let cipher = if let Ok(short) = <&[u8; 16]>::try_from(bytes) {
            Cipher::Aes128(Box::new(AesGcm::new(short.into())))
        } else if let Ok(middle) = <&[u8; 24]>::try_from(bytes) {
            Cipher::Aes192(Box::new(AesGcm::new(middle.into())))
        } else if let Ok(long) = <&[u8; 32]>::try_from(bytes) {
            Cipher::Aes256(Box::new(AesGcm::new(long.into())))
        } else {
            return None;
        };
        Some(Self { bytes: bytes.to_vec(), cipher })
    }

    /// The key itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn encrypt(&self, nonce: &Nonce<U12>, associated: &[u8], buffer: &mut [u8]) -> Tag {
        let buffer = buffer.into();
        let tag = match &self.cipher {
            Cipher::Aes128(it) => it.encrypt_inout_detached(nonce, associated, buffer),
            Cipher::Aes192(it) => it.encrypt_inout_detached(nonce, associated, buffer),
            Cipher::Aes256(it) => it.encrypt_inout_detached(nonce, associated, buffer),
        };
        tag.expect("AES-GCM takes 64 GiB, and no message comes near")
    }

    /// Whether the tag fits; only then is the buffer decrypted.
    fn decrypt(&self, nonce: &Nonce<U12>, associated: &[u8], buffer: &mut [u8], tag: &Tag) -> bool {
        let buffer = buffer.into();
        let done = match &self.cipher {
            Cipher::Aes128(it) => it.decrypt_inout_detached(nonce, associated, buffer, tag),
            Cipher::Aes192(it) => it.decrypt_inout_detached(nonce, associated, buffer, tag),
            Cipher::Aes256(it) => it.decrypt_inout_detached(nonce, associated, buffer, tag),
        };
        done.is_ok()
    }
}

/// How a message is to be sealed.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    /// With the primary key.
    pub key: &'a Key,
    /// Padded or not.
    pub version: EncryptionVersion,
    /// Fresh entropy: never twice for one key.
    pub nonce: [u8; NONCE_BYTES],
}

impl Seal<'_> {
    /// This message, sealed; [`open`] gives it back.
    #[must_use]
    pub fn seal(&self, plain: &[u8], associated: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.version.sealed_len(plain.len()));
        out.extend_from_slice(plain);
        self.apply(&mut out, 0, associated);
        out
    }

    /// Puts a sealed message in the place of all bytes from `start`.
    pub(super) fn apply(&self, out: &mut Vec<u8>, start: usize, associated: &[u8]) {
        let plain = out.len() - start;
        let padding = match self.version {
            EncryptionVersion::Padded => BLOCK_BYTES - plain % BLOCK_BYTES,
            EncryptionVersion::Plain => 0,
        };
        out.reserve(HEAD_BYTES + padding + TAG_BYTES);
        out.resize(out.len() + padding, padding as u8);
        out.resize(out.len() + HEAD_BYTES, 0);
        out[start..].rotate_right(HEAD_BYTES);
        out[start] = self.version as u8;
        out[start + 1..start + HEAD_BYTES].copy_from_slice(&self.nonce);
        let tag = self.key.encrypt(&self.nonce.into(), associated, &mut out[start + HEAD_BYTES..]);
        out.extend_from_slice(&tag);
    }
}

/// Why a sealed message was not opened, in memberlist's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// There is none.
    Empty,
    /// A version of later days.
    Version(u8),
    /// Shorter than nothing sealed: so many bytes.
    Short(usize),
    /// It is of another key, or was changed.
    NoKey,
    /// The key fits, what is inside does not.
    Padding,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Empty => f.write_str("cannot decrypt empty payload"),
            OpenError::Version(version) => write!(f, "unsupported encryption version {version}"),
            OpenError::Short(length) => write!(f, "payload is too small to decrypt: {length}"),
            OpenError::NoKey => f.write_str("No installed keys could decrypt the message"),
            OpenError::Padding => f.write_str("invalid padding of a decrypted message"),
        }
    }
}

impl std::error::Error for OpenError {}

/// Opens a sealed message with the first of the keys that fits.
///
/// # Errors
/// See [`OpenError`].
pub fn open(keys: &[Key], sealed: &[u8], associated: &[u8]) -> Result<Vec<u8>, OpenError> {
    let version = match sealed.first() {
        None => return Err(OpenError::Empty),
        Some(0) => EncryptionVersion::Padded,
        Some(1) => EncryptionVersion::Plain,
        Some(other) => return Err(OpenError::Version(*other)),
    };
    if sealed.len() < version.overhead() {
        return Err(OpenError::Short(sealed.len()));
    }
    let (head, rest) = sealed.split_at(HEAD_BYTES);
    let (ciphertext, tag) = rest.split_at(rest.len() - TAG_BYTES);
    let nonce: [u8; NONCE_BYTES] = head[1..].try_into().expect("the head is as long");
    let tag: [u8; TAG_BYTES] = tag.try_into().expect("it was split there");
    let (nonce, tag) = (nonce.into(), tag.into());
    let mut plain = ciphertext.to_vec();
    if !keys.iter().any(|key| key.decrypt(&nonce, associated, &mut plain, &tag)) {
        return Err(OpenError::NoKey);
    }
    if version == EncryptionVersion::Padded {
        let padding = usize::from(plain.last().copied().unwrap_or_default());
        if padding == 0 || padding > BLOCK_BYTES || padding > plain.len() {
            return Err(OpenError::Padding);
        }
        plain.truncate(plain.len() - padding);
    }
    Ok(plain)
}
