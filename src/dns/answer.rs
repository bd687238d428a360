//! From bytes to bytes: which part of the tree of names a question is about, and who answers for it.
//!
//! ```text
//!   below the domain or alt_domain ─► zone       below arpa ─► reverse
//!   anything else ─► recursors; without them: REFUSED
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

use crate::base::metrics::Labels;
use crate::base::runtime::Level;
use crate::base::{Instant, go_duration};
use crate::dns::cache::Cache;
use crate::dns::message::{Question, Refused};
use crate::dns::name::{below, labels};
use crate::dns::{Backend, Settings, Transport, trim};

/// An agent's DNS. Clones are the same.
pub struct Server<B> {
    inner: Arc<Inner<B>>,
}

struct Inner<B> {
    backend: B,
    /// Replaced as a whole: a question is answered by the settings that it met.
    settings: RwLock<Arc<Settings>>,
    cache: Cache,
}

impl<B> Clone for Server<B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub at: SocketAddr,
    pub over: Transport,
}

impl Client {
    /// The address that counts as the asker's.
    pub fn ip(self) -> IpAddr {
        self.at.ip()
    }
}

/// An answer before it is bytes.
pub(super) enum Reply {
    /// Made here.
    Own(Box<Message>),
    /// Another server's, as it came.
    Foreign(Vec<u8>),
}

impl<B: Backend> Server<B> {
    /// Answers by these settings.
    #[must_use]
    pub fn new(backend: B, settings: Settings) -> Self {
        let settings = RwLock::new(Arc::new(settings));
        Self { inner: Arc::new(Inner { backend, settings, cache: Cache::default() }) }
    }

    /// From now on these settings count.
    pub fn set(&self, settings: Settings) {
        let mut current = self.inner.settings.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(settings);
    }

    pub(super) fn backend(&self) -> &B {
        &self.inner.backend
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.inner.cache
    }

    /// Answers a message; none: it deserves none.
    pub async fn answer(&self, bytes: &[u8], from: SocketAddr, over: Transport) -> Option<Vec<u8>> {
        let question = match Question::read(bytes) {
            Ok(question) => question,
            Err(Refused::Dropped) => return None,
            Err(Refused::Answered(answer)) => return Some(answer),
        };
        let settings = self.inner.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let client = Client { at: from, over };
        let began = self.backend().now();
        let reply = self.reply(&settings, &question, bytes, client).await;
        self.tell(&question, client, began);
        match reply {
            Reply::Foreign(bytes) => Some(bytes),
            Reply::Own(reply) => trim::fitting(&settings, over, &question, *reply),
        }
    }

    async fn reply(
        &self,
        settings: &Settings,
        question: &Question,
        bytes: &[u8],
        client: Client,
    ) -> Reply {
        let labels = labels(question.name());
        let has_recursors = !settings.config.recursors.is_empty();
        // A question about a delegation is for whoever delegates.
        let is_ours = question.kind() != RecordType::DS || !has_recursors;
        let in_zone = [&settings.config.domain, &settings.config.alt_domain];
        let before = in_zone.into_iter().filter_map(|domain| below(&labels, domain));
        // Of two domains the longer one counts.
        let before = before.min_by_key(|before| before.len()).filter(|_| is_ours);
        if let Some(before) = before {
            let began = self.backend().now();
            let reply = self.zone(settings, question, before, client).await;
            self.measure(settings, "dns.domain_query", began);
            return Reply::Own(Box::new(reply));
        }
        if is_ours && labels.last().is_some_and(|label| label == "arpa") {
            let began = self.backend().now();
            let reply = self.reverse(settings, question, &labels, (bytes, client)).await;
            self.measure(settings, "dns.ptr_query", began);
            return reply;
        }
        if has_recursors {
            return self.recurse(settings, question, bytes, client).await;
        }
        let mut reply = question.reply();
        reply.metadata.response_code = ResponseCode::Refused;
        Reply::Own(Box::new(reply))
    }

    fn measure(&self, settings: &Settings, name: &str, began: Instant) {
        let backend = self.backend();
        let labels = Labels::from([("node", settings.node_name.clone())]);
        let span = backend.now().since(began);
        backend.metrics().time(backend.wall_clock(), name, labels, span);
    }

    fn tell(&self, question: &Question, client: Client, began: Instant) {
        let backend = self.backend();
        let latency = go_duration::format(backend.now().since(began));
        let (name, kind) = (question.name(), question.kind());
        let class = question.query.query_class();
        backend.log(
            Level::Debug,
            format_args!(
                "request served from client: name={name} type={kind} class={class} \
                 latency={latency} client={} client_network={}",
                client.at, client.over
            ),
        );
    }
}
