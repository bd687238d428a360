//! Writing the dialect.

use rmp::Marker;

/// Where encoded bytes go.
pub trait Sink {
    /// Takes these.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Only counts, so that a length is known before what it is the length of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    /// Bytes so far.
    pub bytes: usize,
}

impl Sink for Counter {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }
}

/// Appends values to a buffer, or to another sink.
pub struct Writer<'a, S: Sink = Vec<u8>> {
    out: &'a mut S,
}

impl<'a, S: Sink> Writer<'a, S> {
    /// Appends to this.
    pub fn new(out: &'a mut S) -> Self {
        Self { out }
    }

    /// One byte that is not messagepack.
    pub fn byte(&mut self, byte: u8) {
        self.out.put(&[byte]);
    }

    fn marker(&mut self, marker: Marker) -> &mut Self {
        self.out.put(&[marker.to_u8()]);
        self
    }

    /// A marker and the number behind it.
    fn number<const WIDTH: usize>(&mut self, marker: Marker, bytes: [u8; WIDTH]) {
        self.marker(marker).out.put(&bytes);
    }

    /// A length in the shortest of a family's forms; `fix` is the one in the marker itself.
    fn length(&mut self, length: usize, fix: Option<Marker>, long: [Marker; 2]) {
        if let Some(marker) = fix {
            self.marker(marker);
        } else if let Ok(short) = u16::try_from(length) {
            self.number(long[0], short.to_be_bytes());
        } else {
            let length = u32::try_from(length).expect("messages are bounded far below 4 GiB");
            self.number(long[1], length.to_be_bytes());
        }
    }

    fn small(length: usize, below: u8) -> Option<u8> {
        u8::try_from(length).ok().filter(|length| *length < below)
    }

    /// Nothing.
    pub fn nil(&mut self) {
        self.marker(Marker::Null);
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.marker(if value { Marker::True } else { Marker::False });
    }

    /// An integer, as short as it goes.
    pub fn uint(&mut self, value: u64) {
        if let Some(value) = u8::try_from(value).ok().filter(|value| *value < 128) {
            self.marker(Marker::FixPos(value));
        } else if let Ok(value) = u8::try_from(value) {
            self.number(Marker::U8, [value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.number(Marker::U16, value.to_be_bytes());
        } else if let Ok(value) = u32::try_from(value) {
            self.number(Marker::U32, value.to_be_bytes());
        } else {
            self.number(Marker::U64, value.to_be_bytes());
        }
    }

    /// A signed integer, as short as it goes; one that is not negative as an unsigned one.
    pub fn int(&mut self, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.uint(value);
        } else if value >= -32 {
            self.marker(Marker::FixNeg(value as i8));
        } else if let Ok(value) = i8::try_from(value) {
            self.number(Marker::I8, value.to_be_bytes());
        } else if let Ok(value) = i16::try_from(value) {
            self.number(Marker::I16, value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.number(Marker::I32, value.to_be_bytes());
        } else {
            self.number(Marker::I64, value.to_be_bytes());
        }
    }

    /// A float in double precision, in the bits that it has.
    pub fn f64(&mut self, value: f64) {
        self.number(Marker::F64, value.to_bits().to_be_bytes());
    }

    /// A number that is an `int` in Go and not negative, in the form of codec 2.x (raft 1.7): signed, and
    /// never in eight bits beyond the marker's own (spec cluster 0.3).
    pub fn signed(&mut self, value: u64) {
        if let Some(value) = u8::try_from(value).ok().filter(|value| *value < 128) {
            self.marker(Marker::FixPos(value));
        } else if let Ok(value) = i16::try_from(value) {
            self.number(Marker::I16, value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.number(Marker::I32, value.to_be_bytes());
        } else {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            self.number(Marker::I64, value.to_be_bytes());
        }
    }

    /// A value that is encoded already, as [`Reader::value`](super::Reader::value) gave it.
    pub fn value(&mut self, encoded: &[u8]) {
        self.out.put(encoded);
    }

    /// A byte slice; an empty one stays one.
    pub fn bytes(&mut self, value: &[u8]) {
        self.raw(value.len());
        self.out.put(value);
    }

    /// Begins a byte slice of this many bytes, which are to follow through [`Writer::value`].
    pub fn raw(&mut self, length: usize) {
        let fix = Self::small(length, 32).map(Marker::FixStr);
        self.length(length, fix, [Marker::Str16, Marker::Str32]);
    }

    /// A byte slice; nil when empty, as Go's nil slice.
    pub fn bytes_or_nil(&mut self, value: &[u8]) {
        if value.is_empty() { self.nil() } else { self.bytes(value) }
    }

    /// A string.
    pub fn str(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// Begins an array of this many values.
    pub fn array(&mut self, length: usize) {
        let fix = Self::small(length, 16).map(Marker::FixArray);
        self.length(length, fix, [Marker::Array16, Marker::Array32]);
    }

    /// Begins a map of this many keys and values.
    pub fn map(&mut self, length: usize) {
        let fix = Self::small(length, 16).map(Marker::FixMap);
        self.length(length, fix, [Marker::Map16, Marker::Map32]);
    }

    /// A key, whose value is to follow.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.str(name);
        self
    }
}
