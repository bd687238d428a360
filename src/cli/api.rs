//! How a command reaches an agent: address and connection, with the error texts of Consul's Go
//! client, which scripts look for (spec api 5.1, 5.2, 9).

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use hyper::Method;

use crate::base::runtime::Runtime;
use crate::cli::Terminal;
use crate::config::flags::{Flag, Parsed, Takes};
use crate::http::client::{self, Answer, Client};
use crate::http::escape::{escape_path, escape_query};

/// The flags of every command that talks to an agent.
pub(super) const HTTP_FLAGS: [Flag; 4] = [
    Flag {
        name: "http-addr",
        takes: Takes::Text,
        help: "The address and port of the Consul HTTP agent, or CONSUL_HTTP_ADDR. \
               The default is http://127.0.0.1:8500.",
    },
    Flag {
        name: "datacenter",
        takes: Takes::Text,
        help: "Name of the datacenter to query; the agent's own by default.",
    },
    Flag { name: "stale", takes: Takes::Bool, help: "Permit any server to respond." },
    Flag { name: "token", takes: Takes::Text, help: "ACL token; there are no ACLs yet." },
];

/// The agent that the command is for.
pub(super) struct Api<'a, R> {
    runtime: &'a R,
    host: String,
    port: u16,
    common: Vec<(&'static str, String)>,
}

/// An answer that is neither refusal nor failure: 200, or the 404 of an absent key.
pub(super) enum Found {
    Body(Bytes),
    Nothing,
}

impl<'a, R: Runtime> Api<'a, R> {
    /// From `-http-addr`, `CONSUL_HTTP_ADDR` or the default, in this order.
    pub(super) fn new(
        runtime: &'a R,
        flags: &Parsed,
        terminal: &Terminal<'_>,
    ) -> Result<Self, String> {
        let address = flags
            .text("http-addr")
            .or_else(|| terminal.env.get("CONSUL_HTTP_ADDR").map(String::as_str))
            .filter(|address| !address.is_empty())
            .unwrap_or("127.0.0.1:8500");
        let bare = match address.split_once("://") {
            Some(("http" | "tcp", rest)) => rest,
            Some((scheme, _)) => {
                let text = format!("scheme {scheme} is not supported yet, use http");
                return Err(format!("Error connecting to Consul agent: {text}"));
            }
            None => address,
        };
        let bare = bare.trim_end_matches('/');
        let (host, port) = match bare.rsplit_once(':') {
            Some((host, port)) => (host, port.parse::<u16>().ok()),
            None => (bare, Some(80)),
        };
        let port = port
            .filter(|_| !host.is_empty())
            .ok_or_else(|| format!("Error connecting to Consul agent: bad address {address:?}"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut common = Vec::new();
        if let Some(datacenter) = flags.text("datacenter") {
            common.push(("dc", datacenter.to_owned()));
        }
        if flags.switch("stale") == Some(true) {
            common.push(("stale", String::new()));
        }
        Ok(Self { runtime, host, port, common })
    }

    /// Asks for a key or a prefix of keys.
    pub(super) async fn kv(
        &self,
        method: Method,
        key: &str,
        params: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Found, String> {
        let mut path = String::from("/v1/kv/");
        escape_path(key, &mut path);
        let answer = self.exchange(method, &path, params, body).await?;
        if answer.status == 404 {
            return Ok(Found::Nothing);
        }
        expect_ok(answer).map(|answer| Found::Body(answer.body))
    }

    /// Asks an endpoint whose only good answer is 200.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        params: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, String> {
        expect_ok(self.exchange(method, path, params, body).await?)
    }

    /// Asks for a body that may have no end; its pieces go to `take`.
    pub(super) async fn follow(
        &self,
        path: &str,
        params: &[(&str, &str)],
        mut take: impl FnMut(&[u8]) + Send,
    ) -> Result<(), String> {
        let target = self.target(&Method::GET, path, params);
        let failed =
            |why: String| format!("Get \"http://{}:{}{target}\": {why}", self.host, self.port);
        let stream = self.connect().await.map_err(&failed)?;
        let mut client = Client::new(stream).await.map_err(|error| failed(error.to_string()))?;
        let answer = client.follow(&target, &mut take).await;
        expect_ok(answer.map_err(|error| failed(error.to_string()))?).map(|_| ())
    }

    /// Asks, whatever the status of the answer.
    pub(super) async fn exchange(
        &self,
        method: Method,
        path: &str,
        params: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, String> {
        let target = self.target(&method, path, params);
        let verb = match method {
            Method::GET => "Get",
            Method::PUT => "Put",
            Method::POST => "Post",
            _ => "Delete",
        };
        let failed =
            |why: String| format!("{verb} \"http://{}:{}{target}\": {why}", self.host, self.port);
        let stream = self.connect().await.map_err(&failed)?;
        let answer = client::request(stream, method, &target, &[], body).await;
        answer.map_err(|error| failed(error.to_string()))
    }

    fn target(&self, method: &Method, path: &str, params: &[(&str, &str)]) -> String {
        let mut target = path.to_owned();
        // How fresh an answer must be is a matter of reads.
        let common =
            self.common.iter().filter(|(name, _)| *name != "stale" || *method == Method::GET);
        let common = common.map(|(name, value)| (*name, value.as_str()));
        for (at, (name, value)) in params.iter().copied().chain(common).enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            escape_query(value, &mut target);
        }
        target
    }

    async fn connect(&self) -> Result<R::Stream, String> {
        let found = self.runtime.resolve(&self.host).await;
        let ip = found
            .ok()
            .and_then(|ips| ips.into_iter().next())
            .ok_or_else(|| format!("dial tcp: lookup {}: no such host", self.host))?;
        let address = SocketAddr::new(ip, self.port);
        self.runtime.connect(address).await.map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
                io::ErrorKind::TimedOut => "connection timed out".to_owned(),
                _ => error.to_string(),
            };
            format!("dial tcp {address}: connect: {why}")
        })
    }
}

fn expect_ok(answer: Answer) -> Result<Answer, String> {
    if answer.status == 200 {
        return Ok(answer);
    }
    let text = String::from_utf8_lossy(&answer.body);
    Err(format!("Unexpected response code: {} ({})", answer.status, text.trim()))
}
