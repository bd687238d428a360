//! The first byte of every connection to a server's RPC port: what is spoken on it.
//!
//! Values 0 to 19 never begin a TLS record, which is how Consul tells them apart (spec cluster 5.5).

/// What a connection to port 8300 is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// One msgpack-RPC connection.
    Rpc,
    /// The Raft transport.
    Raft,
    /// The old multiplexer; refused.
    Muxado,
    /// A TLS handshake follows, then another first byte inside.
    Tls,
    /// A yamux session; each stream of it is one msgpack-RPC connection.
    Yamux,
    /// Saving or restoring a snapshot.
    Snapshot,
    /// Gossip over a stream.
    Gossip,
    /// TLS without a client certificate.
    TlsInsecure,
}

impl Purpose {
    const ALL: [Purpose; 8] = [
        Purpose::Rpc,
        Purpose::Raft,
        Purpose::Muxado,
        Purpose::Tls,
        Purpose::Yamux,
        Purpose::Snapshot,
        Purpose::Gossip,
        Purpose::TlsInsecure,
    ];

    /// The byte that announces it.
    #[must_use]
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// What this byte announces; none is Consul's "Unrecognized RPC byte".
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Purpose;

    #[test]
    fn bytes_are_those_of_the_specification() {
        let named = [(Purpose::Rpc, 0), (Purpose::Raft, 1), (Purpose::Tls, 3), (Purpose::Yamux, 4)];
        for (purpose, byte) in named {
            assert_eq!(purpose.byte(), byte);
        }
        for byte in 0..=u8::MAX {
            assert_eq!(Purpose::from_byte(byte).map_or(byte, Purpose::byte), byte);
        }
        assert_eq!(Purpose::from_byte(8), None);
    }
}
