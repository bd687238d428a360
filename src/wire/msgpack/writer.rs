//! Writing the dialect.

use rmp::Marker;

/// Appends values to a buffer.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to this.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    fn marker(&mut self, marker: Marker) -> &mut Self {
        self.out.push(marker.to_u8());
        self
    }

    /// A length in the shortest of a family's forms; `fix` is the one in the marker itself.
    fn length(&mut self, length: usize, fix: Option<Marker>, long: [Marker; 2]) {
        if let Some(marker) = fix {
            self.marker(marker);
        } else if let Ok(short) = u16::try_from(length) {
            self.marker(long[0]).out.extend(short.to_be_bytes());
        } else {
            let length = u32::try_from(length).expect("messages are bounded far below 4 GiB");
            self.marker(long[1]).out.extend(length.to_be_bytes());
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
            self.marker(Marker::U8).out.push(value);
        } else if let Ok(value) = u16::try_from(value) {
            self.marker(Marker::U16).out.extend(value.to_be_bytes());
        } else if let Ok(value) = u32::try_from(value) {
            self.marker(Marker::U32).out.extend(value.to_be_bytes());
        } else {
            self.marker(Marker::U64).out.extend(value.to_be_bytes());
        }
    }

    /// A number that is an `int` in Go and not negative, in the form of codec 2.x (raft 1.7): signed, and
    /// never in eight bits beyond the marker's own (spec cluster 0.3).
    pub fn signed(&mut self, value: u64) {
        if let Some(value) = u8::try_from(value).ok().filter(|value| *value < 128) {
            self.marker(Marker::FixPos(value));
        } else if let Ok(value) = i16::try_from(value) {
            self.marker(Marker::I16).out.extend(value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.marker(Marker::I32).out.extend(value.to_be_bytes());
        } else {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            self.marker(Marker::I64).out.extend(value.to_be_bytes());
        }
    }

    /// A value that is encoded already, as [`Reader::value`](super::Reader::value) gave it.
    pub fn value(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    /// A byte slice; an empty one stays one.
    pub fn bytes(&mut self, value: &[u8]) {
        let fix = Self::small(value.len(), 32).map(Marker::FixStr);
        self.length(value.len(), fix, [Marker::Str16, Marker::Str32]);
        self.out.extend_from_slice(value);
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
