//! What the operator allows and adds, `http_config` (spec api 1.4, 6.2): prefixes of paths that are not
//! served, from where writes may come, headers of every answer.

use std::net::IpAddr;

use axum::response::Response;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use crate::base::Network;

/// The operator's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Of every answer.
    pub response_headers: Vec<(String, String)>,
    /// Prefixes of paths.
    pub block_endpoints: Vec<String>,
    /// None: writes may come from everywhere.
    pub allow_write_from: Vec<Network>,
}

/// Where a connection comes from; among a request's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientAddress(pub(super) IpAddr);

impl Policy {
    /// Whether nobody may ask for this path.
    pub(super) fn blocks(&self, path: &str) -> bool {
        self.block_endpoints.iter().any(|prefix| path.starts_with(prefix.as_str()))
    }

    /// Whether this client may do this. Who is not known may not write where few may.
    pub(super) fn permits(&self, method: &Method, client: Option<ClientAddress>) -> bool {
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let from = |it: ClientAddress| self.allow_write_from.iter().any(|net| net.contains(it.0));
        reads || self.allow_write_from.is_empty() || client.is_some_and(from)
    }

    /// Adds the headers; those that HTTP cannot carry are left out.
    pub(super) fn add_headers(&self, response: &mut Response) {
        for (name, value) in &self.response_headers {
            let name = HeaderName::try_from(name.as_str());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                response.headers_mut().entry(name).or_insert(value);
            }
        }
    }
}
