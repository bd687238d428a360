//! Reading the dialect, and everything near it that a peer may send.

use rmp::Marker;

use super::error::{DecodeError, Fault};
use super::{MAX_DEPTH, MAX_MESSAGE};

/// Walks over borrowed bytes, one value at a time.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the front of these.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// An error at this place.
    #[must_use]
    pub fn error(&self, fault: Fault) -> DecodeError {
        DecodeError { offset: self.at, fault }
    }

    fn error_at<T>(offset: usize, fault: Fault) -> Result<T, DecodeError> {
        Err(DecodeError { offset, fault })
    }

    /// All bytes must have been read.
    ///
    /// # Errors
    /// [`Fault::Trailing`].
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.at < self.bytes.len() { Err(self.error(Fault::Trailing)) } else { Ok(()) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        match self.bytes.get(self.at..).and_then(|rest| rest.get(..length)) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => Self::error_at(self.bytes.len(), Fault::Incomplete),
        }
    }

    /// One byte that is not messagepack.
    ///
    /// # Errors
    /// [`Fault::Incomplete`].
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    fn marker(&mut self) -> Result<Marker, DecodeError> {
        self.byte().map(Marker::from_u8)
    }

    /// A big-endian number of up to eight bytes.
    fn number(&mut self, width: usize) -> Result<u64, DecodeError> {
        Ok(self.take(width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn expected<T>(start: usize, wanted: &'static str, marker: Marker) -> Result<T, DecodeError> {
        Self::error_at(start, Fault::Expected { wanted, found: marker.to_u8() })
    }

    /// An integer of any form; nil is 0.
    fn integer(&mut self) -> Result<i128, DecodeError> {
        let start = self.at;
        let marker = self.marker()?;
        let signed =
            |value: u64, bits: u32| i128::from((value << (64 - bits)) as i64 >> (64 - bits));
        Ok(match marker {
            Marker::Null => 0,
            Marker::FixPos(value) => i128::from(value),
            Marker::FixNeg(value) => i128::from(value),
            Marker::U8 => i128::from(self.number(1)?),
            Marker::U16 => i128::from(self.number(2)?),
            Marker::U32 => i128::from(self.number(4)?),
            Marker::U64 => i128::from(self.number(8)?),
            Marker::I8 => signed(self.number(1)?, 8),
            Marker::I16 => signed(self.number(2)?, 16),
            Marker::I32 => signed(self.number(4)?, 32),
            Marker::I64 => signed(self.number(8)?, 64),
            other => return Self::expected(start, "an integer", other),
        })
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// Another type, or negative.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        let start = self.at;
        let value = self.integer()?;
        u64::try_from(value)
            .or_else(|_| Self::error_at(start, Fault::Value { what: "an unsigned integer", value }))
    }

    /// A signed integer that may not be negative here, such as a span in nanoseconds.
    ///
    /// # Errors
    /// Another type, negative, or beyond 63 bits.
    pub fn i64_not_negative(&mut self) -> Result<u64, DecodeError> {
        let start = self.at;
        let value = self.integer()?;
        match u64::try_from(value) {
            Ok(fits) if i64::try_from(fits).is_ok() => Ok(fits),
            _ => Self::error_at(start, Fault::Value { what: "a span or count", value }),
        }
    }

    /// A signed integer.
    ///
    /// # Errors
    /// Another type, or beyond 63 bits.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        let start = self.at;
        let value = self.integer()?;
        i64::try_from(value)
            .or_else(|_| Self::error_at(start, Fault::Value { what: "a signed integer", value }))
    }

    /// An unsigned integer of a narrower type.
    ///
    /// # Errors
    /// Another type, or one that it cannot hold.
    pub fn narrow<T: TryFrom<i128>>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        let start = self.at;
        let value = self.integer()?;
        T::try_from(value).or_else(|_| Self::error_at(start, Fault::Value { what, value }))
    }

    /// A float of either precision, or an integer; nil is 0.
    ///
    /// # Errors
    /// Another type.
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        match self.peek().map(Marker::from_u8) {
            Some(Marker::F64) => {
                self.at += 1;
                Ok(f64::from_bits(self.number(8)?))
            }
            Some(Marker::F32) => {
                self.at += 1;
                Ok(f64::from(f32::from_bits(self.number(4)? as u32)))
            }
            _ => Ok(self.integer()? as f64),
        }
    }

    /// Whether nothing is next; if so, reads over it.
    pub fn nil(&mut self) -> bool {
        let found = self.peek() == Some(Marker::Null.to_u8());
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Nil is none; anything else is read by `value`.
    ///
    /// # Errors
    /// What `value` returns.
    pub fn optional<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        let mut after = self.clone();
        if after.marker()? == Marker::Null {
            *self = after;
            return Ok(None);
        }
        value(self).map(Some)
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// A truth value; nil is false.
    ///
    /// # Errors
    /// Another type.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        let start = self.at;
        match self.marker()? {
            Marker::Null | Marker::False | Marker::FixPos(0) => Ok(false),
            Marker::True | Marker::FixPos(1) => Ok(true),
            other => Self::expected(start, "a bool", other),
        }
    }

    /// How long a string or byte slice is; none when the marker is of another type.
    fn raw_length(&mut self, marker: Marker) -> Result<Option<usize>, DecodeError> {
        let start = self.at;
        let length = match marker {
            Marker::FixStr(length) => u64::from(length),
            Marker::Str8 | Marker::Bin8 => self.number(1)?,
            Marker::Str16 | Marker::Bin16 => self.number(2)?,
            Marker::Str32 | Marker::Bin32 => self.number(4)?,
            _ => return Ok(None),
        };
        match usize::try_from(length) {
            Ok(length) if length <= MAX_MESSAGE => Ok(Some(length)),
            _ => Self::error_at(start, Fault::TooLong(length)),
        }
    }

    /// A byte slice, as raw, string or binary; nil is empty.
    ///
    /// # Errors
    /// Another type, or too long.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        match self.marker()? {
            Marker::Null => Ok(&[]),
            marker => match self.raw_length(marker)? {
                Some(length) => self.take(length),
                None => Self::expected(start, "a string or bytes", marker),
            },
        }
    }

    /// A string; nil is empty.
    ///
    /// # Errors
    /// Another type, too long, or not UTF-8.
    pub fn str(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        std::str::from_utf8(self.bytes()?).or_else(|_| Self::error_at(start, Fault::NotUtf8))
    }

    fn array_length(&mut self) -> Result<u64, DecodeError> {
        let start = self.at;
        match self.marker()? {
            Marker::Null => Ok(0),
            Marker::FixArray(length) => Ok(u64::from(length)),
            Marker::Array16 => self.number(2),
            Marker::Array32 => self.number(4),
            other => Self::expected(start, "an array", other),
        }
    }

    /// An array; nil is empty. `item` must read exactly one value each time. Nothing is reserved for
    /// the announced length: what is allocated follows what is really read.
    ///
    /// # Errors
    /// Another type, or what `item` returns.
    pub fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..self.array_length()? {
            item(self)?;
        }
        Ok(())
    }

    fn map_length(&mut self) -> Result<u64, DecodeError> {
        let start = self.at;
        match self.marker()? {
            Marker::Null => Ok(0),
            Marker::FixMap(length) => Ok(u64::from(length)),
            Marker::Map16 => self.number(2),
            Marker::Map32 => self.number(4),
            other => Self::expected(start, "a map", other),
        }
    }

    /// A struct; nil is one with all fields absent. `field` gets each key and must read exactly one
    /// value: [`Reader::skip`] for a key that it does not know.
    ///
    /// # Errors
    /// Another type, a key that is not a string, or what `field` returns.
    pub fn map(
        &mut self,
        mut field: impl FnMut(&mut Self, &'a [u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..self.map_length()? {
            let key = self.bytes()?;
            field(self, key)?;
        }
        Ok(())
    }

    /// Reads over one value of any type.
    ///
    /// # Errors
    /// Not messagepack, too long or too deep.
    pub fn skip(&mut self) -> Result<(), DecodeError> {
        self.skip_within(MAX_DEPTH)
    }

    /// One value of any type, as it is encoded.
    ///
    /// # Errors
    /// As [`Reader::skip`].
    pub fn value(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        self.skip()?;
        Ok(&self.bytes[start..self.at])
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), DecodeError> {
        let start = self.at;
        let marker = self.marker()?;
        let (plain, nested) = match marker {
            Marker::Null | Marker::True | Marker::False => (0, 0),
            Marker::FixPos(_) | Marker::FixNeg(_) => (0, 0),
            Marker::U8 | Marker::I8 => (1, 0),
            Marker::U16 | Marker::I16 | Marker::FixExt1 => (2, 0),
            Marker::FixExt2 => (3, 0),
            Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
            Marker::FixExt4 => (5, 0),
            Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
            Marker::FixExt8 => (9, 0),
            Marker::FixExt16 => (17, 0),
            Marker::Ext8 => (self.extension_length(1)?, 0),
            Marker::Ext16 => (self.extension_length(2)?, 0),
            Marker::Ext32 => (self.extension_length(4)?, 0),
            Marker::FixArray(length) => (0, u64::from(length)),
            Marker::Array16 => (0, self.number(2)?),
            Marker::Array32 => (0, self.number(4)?),
            Marker::FixMap(pairs) => (0, 2 * u64::from(pairs)),
            Marker::Map16 => (0, 2 * self.number(2)?),
            Marker::Map32 => (0, 2 * self.number(4)?),
            raw => match self.raw_length(raw)? {
                Some(length) => (length, 0),
                None => return Self::expected(start, "a messagepack value", raw),
            },
        };
        self.take(plain)?;
        if nested > 0 && depth == 0 {
            return Self::error_at(start, Fault::TooDeep);
        }
        for _ in 0..nested {
            self.skip_within(depth - 1)?;
        }
        Ok(())
    }

    /// The content of an extension value, with the byte of its type.
    fn extension_length(&mut self, width: usize) -> Result<usize, DecodeError> {
        let start = self.at;
        let length = self.number(width)?;
        match usize::try_from(length) {
            Ok(length) if length <= MAX_MESSAGE => Ok(length + 1),
            _ => Self::error_at(start, Fault::TooLong(length)),
        }
    }
}
