//! Base 64 as Go's standard decoder reads it, which is where Consul reads keys of gossip and values on its
//! command line.
//!
//! Line ends are skipped, padding is needed, and what the last symbol says too much is ignored.

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};

const GO_STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The bytes of a text.
///
/// # Errors
/// Go's words on what is none.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, String> {
    let text: Vec<u8> =
        text.as_ref().iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    GO_STANDARD.decode(&text).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) => at,
            // Go names the beginning of the symbols that are too few.
            _ => text.len() - text.len() % 4,
        };
        format!("illegal base64 data at input byte {at}")
    })
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn texts_are_read_as_go_reads_them() {
        assert_eq!(decode("pUqJrVyVRj5jsiYEkM/tFQ==").map(|key| key.len()), Ok(16));
        assert_eq!(decode("pUqJrVyVRj5j\nsiYEkM/tFR==\n").map(|key| key.len()), Ok(16));
        assert_eq!(decode(""), Ok(Vec::new()));
        let refused = |text| decode(text).expect_err("it is no base 64");
        assert_eq!(refused("pUq!"), "illegal base64 data at input byte 3");
        assert_eq!(refused("pUqJrV"), "illegal base64 data at input byte 4");
        assert_eq!(refused("pUqJr"), "illegal base64 data at input byte 4");
    }
}
