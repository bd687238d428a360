//! What the HTTP API may do and adds, `http_config`, and the limits of its connections (spec api 6.2).

use std::collections::BTreeMap;

use crate::base::{Duration, Network, WebUi};
use crate::config::checked::refuse;
use crate::config::error::ConfigError;
use crate::config::settings::Given;

/// Connections of one address, unless it is said.
const MAX_CONNS_PER_CLIENT: u64 = 200;

/// The HTTP API's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Headers of every answer.
    pub response_headers: Vec<(String, String)>,
    /// Prefixes of paths that nobody may ask for.
    pub block_endpoints: Vec<String>,
    /// From where writes may come; none: from everywhere.
    pub allow_write_from: Vec<Network>,
    /// `limits.http_max_conns_per_client`; 0: no limit.
    pub max_conns_per_client: usize,
    /// `discovery_max_stale`.
    pub discovery_max_stale: Duration,
    /// `translate_wan_addrs`.
    pub translate_wan_addrs: bool,
    /// `ui_config`; none: there is no UI.
    pub ui: Option<WebUi>,
}

/// What one source says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SaidHttp {
    response_headers: BTreeMap<String, String>,
    block_endpoints: Vec<String>,
    allow_write_from: Vec<String>,
    max_conns_per_client: Option<u64>,
    discovery_max_stale: Option<Duration>,
    translate_wan_addrs: Option<bool>,
}

impl SaidHttp {
    /// Takes a key; false: it is not one of these.
    pub(super) fn set(&mut self, key: &str, given: &Given<'_>) -> Result<bool, ConfigError> {
        match key {
            "discovery_max_stale" => self.discovery_max_stale = Some(given.span()?),
            "http_config.allow_write_http_from" => self.allow_write_from = given.texts()?,
            "http_config.block_endpoints" => self.block_endpoints = given.texts()?,
            "http_api_response_headers" | "http_config.response_headers" => {
                self.response_headers.extend(given.pairs()?);
            }
            "limits.http_max_conns_per_client" => {
                self.max_conns_per_client = Some(given.unsigned()?);
            }
            "translate_wan_addrs" => self.translate_wan_addrs = Some(given.bool()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Lays a later source over this one; lists are joined.
    pub(super) fn merge(&mut self, later: SaidHttp) {
        self.response_headers.extend(later.response_headers);
        self.block_endpoints.extend(later.block_endpoints);
        self.allow_write_from.extend(later.allow_write_from);
        self.max_conns_per_client = later.max_conns_per_client.or(self.max_conns_per_client);
        self.discovery_max_stale = later.discovery_max_stale.or(self.discovery_max_stale);
        self.translate_wan_addrs = later.translate_wan_addrs.or(self.translate_wan_addrs);
    }

    /// What holds then, with this UI.
    pub(super) fn check(&self, ui: Option<WebUi>) -> Result<Http, ConfigError> {
        let mut allow_write_from = Vec::new();
        for text in &self.allow_write_from {
            match Network::parse(text) {
                Some(network) => allow_write_from.push(network),
                None => {
                    return refuse(format!("allow_write_http_from: invalid CIDR address: {text}"));
                }
            }
        }
        for (name, value) in &self.response_headers {
            let is_token =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_token) || value.contains(['\r', '\n', '\0'])
            {
                return refuse(format!("http_config.response_headers: {name:?} is no header"));
            }
        }
        let max_conns = self.max_conns_per_client.unwrap_or(MAX_CONNS_PER_CLIENT);
        let headers = self.response_headers.iter();
        Ok(Http {
            response_headers: headers.map(|(name, it)| (name.clone(), it.clone())).collect(),
            block_endpoints: self.block_endpoints.clone(),
            allow_write_from,
            max_conns_per_client: usize::try_from(max_conns).unwrap_or(usize::MAX),
            discovery_max_stale: self.discovery_max_stale.unwrap_or_default(),
            translate_wan_addrs: self.translate_wan_addrs.unwrap_or(false),
            ui,
        })
    }
}
