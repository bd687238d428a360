//! Seeds as people write them: decimal, `0x` hex, or exactly 40 hex digits (a git hash).
//!
//! Forty decimal digits are forty hex digits, hence a hash. A decimal or `0x` number is 64 bits
//! wide and fills the first eight bytes; a hash fills twenty. Equal numbers are equal seeds however
//! they are spelt, except that a hash is never a number.

use super::model::Seed;

impl Seed {
    /// Reads what `--seed` was given.
    ///
    /// # Errors
    /// What is wrong with it, and the forms there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 32];
        if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
                let digits = std::str::from_utf8(pair).expect("hex digits are ASCII");
                *byte = u8::from_str_radix(digits, 16).expect("both are hex digits");
            }
            bytes[31] = 1; // set apart from the numbers
            return Ok(Self { text: text.to_owned(), bytes });
        }
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => (hex, 16),
            None => (text, 10),
        };
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u64::from_str_radix(digits, radix) {
            Ok(number) if plain => {
                bytes[..8].copy_from_slice(&number.to_le_bytes());
                Ok(Self { text: text.to_owned(), bytes })
            }
            Err(error) if plain && *error.kind() == std::num::IntErrorKind::PosOverflow => {
                Err(format!("seed {text} is larger than 64 bits (at most {}); {FORMS}", u64::MAX))
            }
            _ => Err(format!("{text:?} is no seed; {FORMS}")),
        }
    }
}

const FORMS: &str = "a seed is a decimal number, 0x and hex digits, or exactly 40 hex digits";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms() {
        let seed = |text: &str| Seed::parse(text).unwrap().bytes;
        assert_eq!(seed("42"), seed("0x2a"));
        assert_ne!(seed("42"), seed("43"));
        assert_eq!(seed("18446744073709551615")[..8], [255; 8]);
        let hash = "0123456789012345678901234567890123456789";
        assert_eq!(seed(hash)[..3], [0x01, 0x23, 0x45]);
        assert_ne!(seed(&"0".repeat(40)), seed("0"));
    }

    #[test]
    fn what_is_no_seed() {
        for text in ["", "-1", "+1", "4 2", "0x", "fortytwo", "2a", "0x+1", "1e3"] {
            assert!(Seed::parse(text).is_err(), "{text:?}");
        }
        let error = Seed::parse("18446744073709551616").unwrap_err();
        assert!(error.contains("larger than 64 bits"), "{error}");
        assert!(Seed::parse(&"1".repeat(39)).unwrap_err().contains("larger"));
    }
}
