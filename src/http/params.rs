//! The query string, read as Go's `url.ParseQuery` reads it: order kept, repeated names allowed, a
//! name without `=` is present with an empty value.

use crate::http::escape::{escape_query, unescape_text};

/// The parameters of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// None when a percent-escape is broken.
    pub(super) fn parse(query: &str) -> Option<Self> {
        let mut pairs = Vec::new();
        for part in query.split(['&', ';']).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((unescape_text(name, true)?, unescape_text(value, true)?));
        }
        Some(Self(pairs))
    }

    /// Whether the name stands there at all: `?recurse`, `?recurse=` and `?recurse=false` are alike.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| given == name)
    }

    /// The first value; empty when absent.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// All values of a name, in the order given.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// All of it again, sorted by name (Go's `Values.Encode`).
    pub(super) fn encode(&self) -> String {
        let mut sorted: Vec<&(String, String)> = self.0.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut text = String::new();
        for (name, value) in sorted {
            if !text.is_empty() {
                text.push('&');
            }
            escape_query(name, &mut text);
            text.push('=');
            escape_query(value, &mut text);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_values_and_repetitions() {
        let params = Params::parse("keys&flags=1&flags=2;a%20b=c+d&&x=").expect("well-formed");
        assert!(params.has("keys") && params.has("x") && !params.has("y"));
        assert_eq!((params.get("flags"), params.get("a b"), params.get("y")), ("1", "c d", ""));
        assert_eq!(params.encode(), "a+b=c+d&flags=1&flags=2&keys=&x=");
    }

    #[test]
    fn a_broken_escape_breaks_the_query() {
        assert!(Params::parse("a=%zz").is_none());
        assert!(Params::parse("keys&%").is_none());
    }
}
