//! Percent-encoding and path cleaning as Go's net/url, path and net/http do them.

/// Decodes `%XX`; in a query also `+`. None when a `%` is not followed by two hexadecimal digits.
pub(super) fn unescape(text: &str, plus_is_space: bool) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
                high << 4 | low
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    Some(decoded)
}

/// As [`unescape`], as text; a byte that is not UTF-8 becomes U+FFFD.
pub(super) fn unescape_text(text: &str, plus_is_space: bool) -> Option<String> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Some(text.to_owned());
    }
    let bytes = unescape(text, plus_is_space)?;
    Some(
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Go's `url.QueryEscape`.
pub(crate) fn escape_query(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b' ' => into.push('+'),
            _ if is_unreserved(byte) => into.push(char::from(byte)),
            _ => push_escaped(byte, into),
        }
    }
}

/// Go's escaping of a path in `URL.String`.
pub(crate) fn escape_path(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if is_unreserved(byte) || b"$&+,/:;=@".contains(&byte) {
            into.push(char::from(byte));
        } else {
            push_escaped(byte, into);
        }
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
}

fn push_escaped(byte: u8, into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    into.push('%');
    into.push(char::from(DIGITS[usize::from(byte >> 4)]));
    into.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// The path without empty, `.` and `..` segments, when it has any; a final slash stays.
pub(super) fn cleaned(path: &str) -> Option<String> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let segments = inner.strip_suffix('/').unwrap_or(inner);
    let is_clean = path.starts_with('/')
        && (inner.is_empty()
            || !segments.is_empty() && segments.split('/').all(|s| !matches!(s, "" | "." | "..")));
    if is_clean {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let mut clean = format!("/{}", kept.join("/"));
    if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    Some(clean)
}

/// Whether every character is one that Go calls printable: a path with another is refused.
pub(super) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || text.chars().all(is_printable_char)
}

fn is_printable_char(c: char) -> bool {
    let is_format = matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}');
    c == ' ' || !(c.is_control() || c.is_whitespace() || is_format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_like_go() {
        assert_eq!(unescape_text("a%2Fb+c", false).as_deref(), Some("a/b+c"));
        assert_eq!(unescape_text("a%2Fb+c", true).as_deref(), Some("a/b c"));
        assert_eq!(unescape_text("%ff%fe", false).as_deref(), Some("\u{fffd}\u{fffd}"));
        for bad in ["%", "%z", "%zz", "a%2", "%+1"] {
            assert_eq!(unescape(bad, true), None, "{bad}");
        }
    }

    #[test]
    fn cleans_like_go() {
        for clean in ["/", "/a", "/a/", "/a/b.c", "/a/...", "/v1/kv/"] {
            assert_eq!(cleaned(clean), None, "{clean}");
        }
        for (path, clean) in [
            ("//", "/"),
            ("//a", "/a"),
            ("/a//b", "/a/b"),
            ("/a//", "/a/"),
            ("/a/./b", "/a/b"),
            ("/a/../b/", "/b/"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/.", "/a"),
            ("*", "/*"),
        ] {
            assert_eq!(cleaned(path).as_deref(), Some(clean), "{path}");
        }
    }

    #[test]
    fn printable_is_what_go_says() {
        assert!(is_printable("/v1/kv/café 深圳\u{fffd}"));
        for c in ['\0', '\n', '\u{7f}', '\u{a0}', '\u{200b}', '\u{2028}'] {
            assert!(!is_printable(&format!("/a{c}")), "{c:?}");
        }
    }
}
