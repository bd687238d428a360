//! Where the agent's HTTP API is, from `-http-addr` or `CONSUL_HTTP_ADDR` (spec api 5.2), read as
//! Consul's Go client reads it: `host:port`, `http://host:port`, `unix:///path`.
//!
//! TLS is not built: `https://` and `CONSUL_HTTP_SSL` are refused in words, not silently left out.

use std::path::PathBuf;

use crate::cli::Terminal;
use crate::config::flags::{Parsed, parse_bool};

const DEFAULT: &str = "127.0.0.1:8500";
/// The port of an address that names none.
const HTTP_PORT: u16 = 80;

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A host, by name or number, and a port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Address {
    /// From the flag, the environment or the default, in this order.
    pub(super) fn find(flags: &Parsed, terminal: &Terminal<'_>) -> Result<Self, String> {
        let env = |name: &str| terminal.env.get(name).map(String::as_str);
        let text = flags.text("http-addr").or_else(|| env("CONSUL_HTTP_ADDR"));
        let address = Self::parse(text.filter(|text| !text.is_empty()).unwrap_or(DEFAULT))?;
        let tls = env("CONSUL_HTTP_SSL").and_then(parse_bool) == Some(true);
        if tls && matches!(address, Address::Tcp(..)) {
            let remedy = "unset it and use the agent's http port";
            return Err(format!(
                "CONSUL_HTTP_SSL is set, but https is not supported yet: {remedy}"
            ));
        }
        Ok(address)
    }

    /// Reads an address.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bare = match text.split_once("://") {
            None => text,
            Some(("http", rest)) => rest,
            Some(("unix", "")) => return Err(format!("no path in {text:?}")),
            Some(("unix", path)) => return Ok(Address::Unix(path.into())),
            Some(("https", rest)) => {
                return Err(format!("https is not supported yet: use http://{rest}"));
            }
            Some((scheme, _)) => return Err(format!("Unknown protocol scheme: {scheme}")),
        };
        let bare = bare.trim_end_matches('/');
        let (host, port) = match bare.rsplit_once(':') {
            // The last colon of an IPv6 address in brackets is before no port.
            Some((_, after)) if after.ends_with(']') => (bare, Some(HTTP_PORT)),
            Some((host, port)) => (host, port.parse::<u16>().ok()),
            None => (bare, Some(HTTP_PORT)),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match port {
            Some(port) => Ok(Address::Tcp(host.to_owned(), port)),
            None => Err(format!("bad address {text:?}: want host:port")),
        }
    }

    /// As the Go client writes it into the URL of an error.
    pub(super) fn url(&self, target: &str) -> String {
        match self {
            Address::Tcp(host, port) if host.contains(':') => {
                format!("http://[{host}]:{port}{target}")
            }
            Address::Tcp(host, port) => format!("http://{host}:{port}{target}"),
            // The path is where a host would be.
            Address::Unix(path) => {
                let host = path.display().to_string().replace('/', "%2F");
                format!("http://{host}{target}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_shown_as_gos_client_shows_it() {
        let url = |text| Address::parse(text).expect("an address").url("/v1/kv/a");
        assert_eq!(url("unix:///run/c.sock"), "http://%2Frun%2Fc.sock/v1/kv/a");
        assert_eq!(url(":8500"), "http://:8500/v1/kv/a");
    }

    #[test]
    fn addresses_are_read_as_gos_client_reads_them() {
        let tcp = |host: &str, port| Ok(Address::Tcp(host.to_owned(), port));
        let refused = |text: &str| Err(text.to_owned());
        for (text, found) in [
            ("127.0.0.1:8500", tcp("127.0.0.1", 8500)),
            ("http://n1:1/", tcp("n1", 1)),
            ("n1", tcp("n1", 80)),
            ("[::1]:8500", tcp("::1", 8500)),
            ("http://[::1]", tcp("::1", 80)),
            ("unix:///run/c.sock", Ok(Address::Unix("/run/c.sock".into()))),
            ("unix://", refused("no path in \"unix://\"")),
            ("https://n1:8501", refused("https is not supported yet: use http://n1:8501")),
            ("ftp://n1", refused("Unknown protocol scheme: ftp")),
            (":8500", tcp("", 8500)),
            ("n1:http", refused("bad address \"n1:http\": want host:port")),
        ] {
            assert_eq!(Address::parse(text), found, "{text}");
        }
    }
}
