//! How a command reaches an agent: address and connection, with the error texts of Consul's Go
//! client, which scripts look for (spec api 5.1, 5.2, 9).

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::base::runtime::Runtime;
use crate::cli::address::Address;
use crate::cli::{Terminal, files};
use crate::config::flags::{Flag, Parsed, Takes};
use crate::http::client::{self, Answer, Client};
use crate::http::escape::{escape_path, escape_query};

const fn flag(name: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { name, takes, help }
}

/// The flags of every command that talks to an agent.
pub(super) const CLIENT_FLAGS: &[Flag] = &[
    flag(
        "ca-file",
        Takes::Texts,
        "Path to a CA file to use for TLS. Also CONSUL_CACERT. There is no TLS yet: taken and not used.",
    ),
    flag(
        "ca-path",
        Takes::Texts,
        "Path to a directory of CA certificates to use for TLS. Also CONSUL_CAPATH. Taken and not used.",
    ),
    flag(
        "client-cert",
        Takes::Texts,
        "Path to a client certificate to use for TLS. Also CONSUL_CLIENT_CERT. Taken and not used.",
    ),
    flag(
        "client-key",
        Takes::Texts,
        "Path to the key of the client certificate. Also CONSUL_CLIENT_KEY. Taken and not used.",
    ),
    flag(
        "http-addr",
        Takes::Text,
        "The `address` and port of the agent's HTTP API: host:port, http://host:port or unix:///path. \
         Also CONSUL_HTTP_ADDR. The default is http://127.0.0.1:8500.",
    ),
    flag(
        "tls-server-name",
        Takes::Texts,
        "The server name to use as the SNI host with TLS. Also CONSUL_TLS_SERVER_NAME. Taken and not \
         used.",
    ),
    flag(
        "token",
        Takes::Texts,
        "ACL token to send with the request. Also CONSUL_HTTP_TOKEN. Agents without ACLs ignore it.",
    ),
    flag(
        "token-file",
        Takes::Texts,
        "File that holds the ACL token; wins over -token and CONSUL_HTTP_TOKEN. Also \
         CONSUL_HTTP_TOKEN_FILE.",
    ),
];

/// Of those whose question the servers of a datacenter answer.
pub(super) const SERVER_FLAGS: &[Flag] = &[
    flag(
        "datacenter",
        Takes::Texts,
        "Name of the datacenter to query. Without it, that of the agent.",
    ),
    flag(
        "stale",
        Takes::Bool,
        "Permit any server to respond, not just the leader. Answers come sooner and may be out of \
         date. Says nothing on writes. The default is false.",
    ),
];

/// Of those that belong to a namespace in Consul Enterprise.
pub(super) const NAMESPACE_FLAGS: &[Flag] = &[flag(
    "namespace",
    Takes::Texts,
    "The namespace to query. Namespaces are a feature of Consul Enterprise; an agent of the community \
     edition refuses them.",
)];

/// The agent that the command is for.
pub(super) struct Api<'a, R> {
    runtime: &'a R,
    address: Address,
    token: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    common: Vec<(&'static str, String)>,
}

/// The ACL token of a command.
enum Token {
    None,
    Given(String),
    /// In a file.
    File(String),
}

impl Token {
    /// `-token-file`, `-token`, `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_TOKEN`: the first that is given.
    fn find(flags: &Parsed, terminal: &Terminal<'_>) -> Self {
        let env = |name: &str| terminal.env.get(name).map(String::as_str);
        let said = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        said(flags.text("token-file"))
            .map(Token::File)
            .or_else(|| said(flags.text("token")).map(Token::Given))
            .or_else(|| said(env("CONSUL_HTTP_TOKEN_FILE")).map(Token::File))
            .or_else(|| said(env("CONSUL_HTTP_TOKEN")).map(Token::Given))
            .unwrap_or(Token::None)
    }

    async fn read<R: Runtime>(self, runtime: &R) -> Result<Option<String>, String> {
        match self {
            Token::None => Ok(None),
            Token::Given(token) => Ok(Some(token)),
            Token::File(file) => {
                let read = files::read(runtime, &file).await;
                let bytes = read.map_err(|why| format!("Error loading token file: {why}"))?;
                Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
            }
        }
    }
}

fn connecting(text: String) -> String {
    format!("Error connecting to Consul agent: {text}")
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
    ) -> impl Future<Output = Result<Self, String>> + use<'a, R> {
        // The terminal is asked before anything is waited for: it cannot be shared between threads.
        let made = Self::without_token(runtime, flags, terminal);
        let token = Token::find(flags, terminal);
        async move {
            let mut api = made.map_err(connecting)?;
            api.token = token.read(runtime).await.map_err(connecting)?;
            Ok(api)
        }
    }

    fn without_token(
        runtime: &'a R,
        flags: &Parsed,
        terminal: &Terminal<'_>,
    ) -> Result<Self, String> {
        let address = Address::find(flags, terminal)?;
        let env = |name: &str| terminal.env.get(name).map(String::as_str);
        let mut headers = Vec::new();
        if let Some(login) = env("CONSUL_HTTP_AUTH").filter(|login| !login.is_empty()) {
            // Without a colon it is a name alone.
            let login = if login.contains(':') { login.to_owned() } else { format!("{login}:") };
            let value = format!("Basic {}", STANDARD.encode(login));
            let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
            headers.push((AUTHORIZATION, value));
        }
        let mut common = Vec::new();
        if let Some(datacenter) = flags.text("datacenter") {
            common.push(("dc", datacenter.to_owned()));
        }
        let namespace = flags.text("namespace").or_else(|| env("CONSUL_NAMESPACE"));
        if let Some(namespace) = namespace.filter(|name| !name.is_empty()) {
            common.push(("ns", namespace.to_owned()));
        }
        if flags.is_on("stale") {
            common.push(("stale", String::new()));
        }
        Ok(Self { runtime, address, token: None, headers, common })
    }

    /// Asks for a key or a prefix of keys.
    pub(super) async fn kv(
        &self,
        method: Method,
        key: &str,
        params: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Found, String> {
        // No key begins with a slash. Consul's client drops one where it reads or deletes, and refuses to
        // write it.
        let bare = key.strip_prefix('/');
        if bare.is_some() && method == Method::PUT {
            return Err(format!("Invalid key. Key must not begin with a '/': {key}"));
        }
        let mut path = String::from("/v1/kv/");
        escape_path(bare.unwrap_or(key), &mut path);
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

    /// Asks for a body that is long or has no end; its pieces go to `take`, and the answer has none of it.
    pub(super) async fn follow(
        &self,
        path: &str,
        params: &[(&str, &str)],
        mut take: impl FnMut(&[u8]) + Send,
    ) -> Result<Answer, String> {
        let target = self.target(&Method::GET, path, params);
        let failed = |why: String| format!("Get {:?}: {why}", self.address.url(&target));
        let stream = self.connect().await.map_err(&failed)?;
        let mut client = Client::new(stream).await.map_err(|error| failed(error.to_string()))?;
        let answer = client.follow(&target, &mut take).await;
        expect_ok(answer.map_err(|error| failed(error.to_string()))?)
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
        let failed = |why: String| format!("{verb} {:?}: {why}", self.address.url(&target));
        let mut headers = self.headers.clone();
        if let Some(token) = self.token()? {
            headers.push((HeaderName::from_static("x-consul-token"), token));
        }
        let stream = self.connect().await.map_err(&failed)?;
        let answer = client::request(stream, method, &target, &headers, body).await;
        answer.map_err(|error| failed(error.to_string()))
    }

    fn token(&self) -> Result<Option<HeaderValue>, String> {
        match self.token.as_deref().map(HeaderValue::try_from).transpose() {
            Ok(token) => Ok(token.filter(|token| !token.is_empty())),
            Err(_) => Err("the ACL token holds characters that no header can".to_owned()),
        }
    }

    fn target(&self, method: &Method, path: &str, params: &[(&str, &str)]) -> String {
        let mut target = path.to_owned();
        // How fresh an answer must be is a matter of reads.
        let common =
            self.common.iter().filter(|(name, _)| *name != "stale" || *method == Method::GET);
        let common = common.map(|(name, value)| (*name, value.as_str()));
        let mut all: Vec<(&str, &str)> = params.iter().copied().chain(common).collect();
        // Go writes them by name.
        all.sort_by_key(|(name, _)| *name);
        for (at, (name, value)) in all.into_iter().enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            escape_query(value, &mut target);
        }
        target
    }

    async fn connect(&self) -> Result<R::Stream, String> {
        let (host, port) = match &self.address {
            Address::Tcp(host, port) => (host, *port),
            Address::Unix(path) => {
                return self.runtime.connect_unix(path).await.map_err(|error| {
                    format!("dial unix {}: connect: {}", path.display(), files::reason(&error))
                });
            }
        };
        if host.is_empty() {
            // Go takes this machine, and names the address without it.
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
            let connected = self.runtime.connect(address).await;
            return connected
                .map_err(|error| format!("dial tcp :{port}: connect: {}", files::reason(&error)));
        }
        let found = self.runtime.resolve(host).await;
        let ip = found
            .ok()
            .and_then(|ips| ips.into_iter().next())
            .ok_or_else(|| format!("dial tcp: lookup {host}: no such host"))?;
        let address = SocketAddr::new(ip, port);
        self.runtime
            .connect(address)
            .await
            .map_err(|error| format!("dial tcp {address}: connect: {}", files::reason(&error)))
    }
}

fn expect_ok(answer: Answer) -> Result<Answer, String> {
    if answer.status == 200 {
        return Ok(answer);
    }
    let text = String::from_utf8_lossy(&answer.body);
    Err(format!("Unexpected response code: {} ({text})", answer.status))
}
