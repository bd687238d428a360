//! Questions to the store: how old an answer may be, and what its absence means (spec api 4.3, 4.8).
//!
//! ```text
//!   allow_stale ──► any server ──older than max_stale?──► the leader
//!   use_cache   ──► any server ──fails?──► what it said last, if that is not too old
//! ```

use hickory_proto::op::ResponseCode;

use crate::agent::{Failure, ReadMode, ReadOptions, Reply, Request};
use crate::base::Duration;
use crate::base::runtime::Level;
use crate::dns::answer::Server;
use crate::dns::{Backend, Settings};
use crate::planted;
use crate::state::{CheckServiceNode, NodeMeta, Query, QueryOutcome, Rows};

/// An answer that is older counts as stale in the figures.
const STALE: Duration = Duration::from_secs(5);
/// What Consul says of a prepared query that nobody has.
const NO_SUCH_QUERY: &str = "Query not found";
/// And of a datacenter.
const NO_SUCH_DATACENTER: &str = "No path to datacenter";

/// Why there are no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// Nobody has this name.
    NoName,
    /// Somebody has, but no record of this type. The zone's SOA says so.
    NoData,
    /// Nobody could be asked.
    Failed,
}

impl Absent {
    /// What the asker is told.
    pub fn code(self) -> ResponseCode {
        match self {
            Absent::NoName => ResponseCode::NXDomain,
            Absent::NoData => ResponseCode::NoError,
            Absent::Failed => ResponseCode::ServFail,
        }
    }

    /// Whether the zone's SOA comes with it.
    pub fn has_soa(self) -> bool {
        self != Absent::Failed
    }
}

impl<B: Backend> Server<B> {
    /// Reads, in the way that the settings say.
    pub(super) async fn read(&self, settings: &Settings, query: Query) -> Result<Rows, Absent> {
        // Oracle: dns-sound.
        let faults = self.backend().faults();
        if planted!(faults, "dns-keeps-for-ever") {
            return self.read_once(settings, query).await;
        }
        let read = self.read_fresh(settings, &query).await;
        if !settings.config.use_cache {
            return read.map_err(|failure| self.absence(&failure));
        }
        let now = self.backend().now();
        match read {
            Ok(rows) => {
                self.cache().keep(&query, &rows, now);
                Ok(rows)
            }
            Err(failure) => match self.absence(&failure) {
                Absent::Failed => {
                    let limit = Some(settings.config.cache_max_age).filter(|age| !age.is_zero());
                    self.cache().old(&query, limit, now).ok_or(Absent::Failed)
                }
                other => Err(other),
            },
        }
    }

    /// The planted bug: what was kept is never too old.
    async fn read_once(&self, settings: &Settings, query: Query) -> Result<Rows, Absent> {
        let now = self.backend().now();
        if let Some(kept) = self.cache().old(&query, None, now) {
            return Ok(kept);
        }
        let rows = self.read_fresh(settings, &query).await;
        let rows = rows.map_err(|failure| self.absence(&failure))?;
        self.cache().keep(&query, &rows, now);
        Ok(rows)
    }

    async fn read_fresh(&self, settings: &Settings, query: &Query) -> Result<Rows, Failure> {
        let any_server = settings.config.allow_stale || settings.config.use_cache;
        let mode = if any_server { ReadMode::Stale } else { ReadMode::Default };
        let (rows, age) = self.read_in(mode, query).await?;
        if mode == ReadMode::Default || age <= settings.config.max_stale {
            if age > STALE {
                let wall = self.backend().wall_clock();
                self.backend().metrics().count(wall, "dns.stale_queries", 1);
            }
            return Ok(rows);
        }
        self.backend().log(Level::Warn, format_args!("Query results too stale, re-requesting"));
        self.read_in(ReadMode::Default, query).await.map(|(rows, _)| rows)
    }

    /// Also, how long ago the server heard of its leader.
    async fn read_in(&self, mode: ReadMode, query: &Query) -> Result<(Rows, Duration), Failure> {
        let options = ReadOptions { mode, ..ReadOptions::default() };
        let request = Request::Read { query: query.clone(), options };
        match self.backend().ask(request).await? {
            Reply::Read { answer, meta } => match answer.rows {
                Rows::Refused(text) => Err(Failure::Refused(text)),
                rows => Ok((rows, meta.last_contact)),
            },
            other => Err(Failure::Rpc(format!("unexpected reply {other:?}"))),
        }
    }

    fn absence(&self, failure: &Failure) -> Absent {
        let text = failure.to_string();
        if text.contains(NO_SUCH_QUERY) || text.contains(NO_SUCH_DATACENTER) {
            return Absent::NoName;
        }
        self.backend().log(Level::Error, format_args!("rpc error: error=\"{text}\""));
        Absent::Failed
    }

    /// The rows were not those that were asked for: only a foreign server can cause it.
    pub(super) fn mismatch(&self, rows: &Rows) -> Absent {
        self.backend().log(Level::Error, format_args!("rpc error: unexpected rows {rows:?}"));
        Absent::Failed
    }

    /// The instances of a service, whatever their health.
    pub(super) async fn instances(
        &self,
        settings: &Settings,
        service: String,
        tag: Option<String>,
    ) -> Result<Vec<CheckServiceNode>, Absent> {
        // Oracle: dns-sound.
        let faults = self.backend().faults();
        let untagged = planted!(faults, "dns-ignores-tag");
        let tags = tag.into_iter().filter(|_| !untagged).collect();
        let query = Query::HealthService { service, tags, meta: NodeMeta::new() };
        match self.read(settings, query).await? {
            Rows::CheckServiceNodes(rows) => Ok(rows),
            other => Err(self.mismatch(&other)),
        }
    }

    /// What a prepared query means now.
    pub(super) async fn outcome(
        &self,
        settings: &Settings,
        query: Query,
    ) -> Result<QueryOutcome, Absent> {
        match self.read(settings, query).await? {
            Rows::Executed(outcome) => Ok(*outcome),
            other => Err(self.mismatch(&other)),
        }
    }
}
