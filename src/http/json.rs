//! JSON as Go's encoding/json writes it, because clients and scripts compare text: `<`, `>`, `&`,
//! U+2028 and U+2029 escaped, four spaces of indentation when asked for (spec api 1.5).

use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter};

/// Encodes a value. Indented output ends in a newline, compact output does not.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, indented: bool) -> Bytes {
    let mut text = Vec::with_capacity(128);
    let done = if indented {
        let formatter = GoFormatter(PrettyFormatter::with_indent(b"    "));
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))
    } else {
        let formatter = GoFormatter(CompactFormatter);
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))
    };
    done.expect("answers have string keys and memory takes all bytes");
    if indented {
        text.push(b'\n');
    }
    text.into()
}

struct GoFormatter<F>(F);

impl<F: Formatter> Formatter for GoFormatter<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // 0xe2 begins U+2028 and U+2029, and much else.
        let special = |byte: &u8| matches!(byte, b'<' | b'>' | b'&' | 0xe2);
        if !fragment.as_bytes().iter().any(special) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let mut chars = rest[at..].chars();
            let special = chars.next().map_or(0, u32::from);
            write!(writer, "\\u{special:04x}")?;
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Backspace => writer.write_all(b"\\u0008"),
            CharEscape::FormFeed => writer.write_all(b"\\u000c"),
            other => self.0.write_char_escape(writer, other),
        }
    }

    /// Go's form: no fraction where there is none, an exponent only far from one.
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        match size != 0.0 && !(1e-6..1e21).contains(&size) {
            true if size < 1.0 => write!(writer, "{value:e}"),
            true => write!(writer, "{}", format!("{value:e}").replace('e', "e+")),
            false => write!(writer, "{value}"),
        }
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_like_go() {
        let text = "<a>&\u{2028}\u{2029}\"\\\n\u{8}\u{c}\u{1}é\u{7f}";
        let expected =
            "\"\\u003ca\\u003e\\u0026\\u2028\\u2029\\\"\\\\\\n\\u0008\\u000c\\u0001é\u{7f}\"";
        assert_eq!(encode(text, false), expected);
    }

    #[test]
    fn writes_numbers_like_go() {
        let numbers = [0.0, -0.0, 1.5, 1e-5, 1.25e-7, -2e21, 1e20, 0.1 + 0.2];
        let expected =
            "[0,-0,1.5,0.00001,1.25e-7,-2e+21,100000000000000000000,0.30000000000000004]";
        assert_eq!(encode(&numbers[..], false), expected);
    }

    #[test]
    fn indents_like_go() {
        assert_eq!(encode(&["a", "b"], true), "[\n    \"a\",\n    \"b\"\n]\n");
        assert_eq!(encode::<[&str]>(&[], true), "[]\n");
        assert_eq!(
            encode(&serde_json::json!({"a": [], "b": {"c": 1}}), true),
            "{\n    \"a\": [],\n    \"b\": {\n        \"c\": 1\n    }\n}\n"
        );
    }
}
