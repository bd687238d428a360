//! The URLs of HTTP checks, and where redirects lead.
//!
//! Read like Go's `net/url` as far as checks need it: scheme, user, host, port, path, query; a fragment
//! is for browsers and dropped. What must not stand in a request line is percent-encoded.

use std::fmt::Write as _;

use super::dial::split;

/// A URL that a check can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::driver) struct Url {
    /// Lower case.
    pub scheme: String,
    /// `user:password`, as it came; empty: none.
    pub user: String,
    /// With the port, if one is given.
    pub host: String,
    /// Path and query; begins with `/`.
    pub target: String,
}

impl Url {
    /// Reads one.
    ///
    /// # Errors
    /// In Go's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("parse \"{text}\": {why}");
        if text.bytes().any(|it| it < b' ' || it == 0x7f) {
            return Err(wrong("net/url: invalid control character in URL"));
        }
        if text.starts_with(':') {
            return Err(wrong("missing protocol scheme"));
        }
        let Some((scheme, rest)) = text.split_once("://").filter(|(it, _)| is_scheme(it)) else {
            return Err("unsupported protocol scheme \"\"".to_owned());
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if host.is_empty() {
            return Err("http: no Host in request URL".to_owned());
        }
        if host.contains([' ', '<', '>', '"', '\\', '^', '`', '{', '|', '}', '%']) {
            return Err(wrong("invalid character in host name"));
        }
        let port = split(host).map_or("", |(_, port)| port);
        if !port.bytes().all(|it| it.is_ascii_digit()) {
            return Err(wrong(&format!("invalid port \":{port}\" after host")));
        }
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            user: user.to_owned(),
            host: host.to_owned(),
            target: encoded(target),
        })
    }

    /// Where a `Location` leads that was found here.
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub fn join(&self, location: &str) -> Result<Self, String> {
        let whole = location.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme));
        if whole {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{}:{location}", self.scheme));
        }
        let location = location.split('#').next().unwrap_or_default();
        let path = self.target.split('?').next().unwrap_or_default();
        let target = match location.as_bytes().first() {
            None => self.target.clone(),
            Some(b'/') => without_dots(location),
            Some(b'?') => format!("{path}{location}"),
            Some(_) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                without_dots(&format!("{folder}/{location}"))
            }
        };
        Ok(Self { target: encoded(&target), ..self.clone() })
    }

    /// Where to connect: `host:port`.
    pub fn address(&self) -> String {
        let has_port = split(&self.host).is_ok_and(|(_, port)| !port.is_empty());
        if has_port {
            return self.host.clone();
        }
        let port = if self.scheme == "https" { 443 } else { 80 };
        format!("{}:{port}", self.host.trim_end_matches(':'))
    }

    /// The whole of it, without the password.
    pub fn shown(&self) -> String {
        let user = match self.user.split_once(':') {
            Some((name, _)) => format!("{name}:***@"),
            None if self.user.is_empty() => String::new(),
            None => format!("{}@", self.user),
        };
        format!("{}://{user}{}{}", self.scheme, self.host, self.target)
    }
}

fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|it| it.is_ascii_alphabetic())
        && bytes.all(|it| it.is_ascii_alphanumeric() || b"+-.".contains(&it))
}

/// As it may stand in a request line.
fn encoded(target: &str) -> String {
    let mut text = String::new();
    if !target.starts_with('/') {
        text.push('/');
    }
    for byte in target.bytes() {
        if byte <= b' ' || byte >= 0x7f || b"\"<>\\^`{|}".contains(&byte) {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        } else {
            text.push(char::from(byte));
        }
    }
    text
}

/// A path without `.` and `..`; its query stays.
fn without_dots(target: &str) -> String {
    let (path, query) = match target.find('?') {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    let mut kept: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    for part in &parts {
        match *part {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let folder = matches!(parts.last(), Some(&("." | ".."))) && !kept.is_empty();
    format!("/{}{}{query}", kept.join("/"), if folder { "/" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let url = Url::parse("HTTP://u:p@[::1]:80/a b?q=é#top").expect("a URL");
        assert_eq!((url.scheme.as_str(), url.user.as_str()), ("http", "u:p"));
        assert_eq!((url.host.as_str(), url.target.as_str()), ("[::1]:80", "/a%20b?q=%C3%A9"));
        assert_eq!(url.shown(), "http://u:***@[::1]:80/a%20b?q=%C3%A9");
        assert_eq!(Url::parse("http://web").expect("a URL").address(), "web:80");
        assert_eq!(Url::parse("https://[::1]").expect("a URL").address(), "[::1]:443");
        assert_eq!(Url::parse("http://web?q").expect("a URL").target, "/?q");
        for (text, why) in [
            ("://nope", "parse \"://nope\": missing protocol scheme"),
            ("nope", "unsupported protocol scheme \"\""),
            ("http:///x", "http: no Host in request URL"),
            ("http://a:b/", "parse \"http://a:b/\": invalid port \":b\" after host"),
        ] {
            assert_eq!(Url::parse(text), Err(why.to_owned()));
        }
    }

    #[test]
    fn redirects_lead_somewhere() {
        let from = Url::parse("http://web:81/a/b?q=1").expect("a URL");
        for (location, to) in [
            ("http://other/x", "http://other/x"),
            ("//other/x", "http://other/x"),
            ("/x?y=2", "http://web:81/x?y=2"),
            ("c", "http://web:81/a/c"),
            ("../c/./d", "http://web:81/c/d"),
            ("../../../..", "http://web:81/"),
            ("?z", "http://web:81/a/b?z"),
            ("", "http://web:81/a/b?q=1"),
        ] {
            assert_eq!(from.join(location).expect("a URL").shown(), to, "{location}");
        }
    }
}
