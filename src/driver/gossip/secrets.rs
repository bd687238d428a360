//! A pool's keys, and what they do to its bytes.

use std::sync::Mutex;

use crate::base::runtime::Runtime;
use crate::gossip::Message;
use crate::wire::gossip::{
    EncryptionVersion, Keyring, NONCE_BYTES, PacketOptions, ReceivedStream, Reception, Seal,
    StreamDecoder, StreamError, StreamMessage, StreamOptions, Unpacked, decode_packet,
    encode_packet, encode_stream,
};

/// The keys and rules of a pool (`encrypt`, `encrypt_verify_incoming`, `encrypt_verify_outgoing`).
pub(in super::super) struct Secrets {
    keyring: Mutex<Keyring>,
    verify_incoming: bool,
    verify_outgoing: bool,
}

impl Secrets {
    pub fn new(keyring: Keyring, verify_incoming: bool, verify_outgoing: bool) -> Self {
        Self { keyring: Mutex::new(keyring), verify_incoming, verify_outgoing }
    }

    /// A datagram of these messages.
    pub fn pack<R: Runtime>(&self, runtime: &R, messages: &[Message], checksum: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.sealed(runtime, |seal| {
            // Real agents compress always; a datagram that fits as it is needs none.
            let options = PacketOptions { compress: false, checksum, seal };
            encode_packet(messages, &options, &mut bytes);
        });
        bytes
    }

    /// What a datagram carries.
    pub fn unpack(&self, datagram: &[u8]) -> Unpacked {
        self.received(|reception| decode_packet(datagram, reception))
    }

    /// A stream's bytes.
    pub fn pack_stream<R: Runtime>(&self, runtime: &R, message: &StreamMessage) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.sealed(runtime, |seal| {
            let options = StreamOptions { compress: true, seal };
            encode_stream(message, &options, &mut bytes);
        });
        bytes
    }

    /// What a stream says, once it is whole.
    pub fn unpack_stream(
        &self,
        decoder: &mut StreamDecoder,
        bytes: &[u8],
    ) -> Result<Option<ReceivedStream>, StreamError> {
        self.received(|reception| decoder.decode(bytes, reception))
    }

    /// Changes the keys, or looks at them.
    pub fn change<T>(&self, change: impl FnOnce(&mut Keyring) -> T) -> T {
        change(&mut self.keyring.lock().expect("nothing panics while it holds the keys"))
    }

    fn received<T>(&self, read: impl FnOnce(&Reception<'_>) -> T) -> T {
        let keyring = self.keyring.lock().expect("nothing panics while it holds the keys");
        read(&Reception { keyring: &keyring, verify_incoming: self.verify_incoming })
    }

    fn sealed<R: Runtime>(&self, runtime: &R, write: impl FnOnce(Option<Seal<'_>>)) {
        let keyring = self.keyring.lock().expect("nothing panics while it holds the keys");
        let key = keyring.primary().filter(|_| self.verify_outgoing);
        write(key.map(|key| {
            let mut nonce = [0; NONCE_BYTES];
            runtime.entropy(&mut nonce);
            Seal { key, version: EncryptionVersion::Plain, nonce }
        }));
    }
}
