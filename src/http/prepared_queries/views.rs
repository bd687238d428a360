//! Definitions and executions in JSON, as Consul 1.9.8 writes them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    CheckServiceNode, Empty, Found, HealthCheckView, NodeServiceView, NodeView, PreparedQuery,
    QueryOutcome, consistency,
};
use crate::http::views::texts_or_null;

fn list(texts: &[String]) -> Option<&[String]> {
    (!texts.is_empty()).then_some(texts)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TemplateView<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    regexp: &'a str,
    remove_empty_tags: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailoverView<'a> {
    nearest_n: i64,
    datacenters: Option<&'a [String]>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceView<'a> {
    service: &'a str,
    failover: FailoverView<'a>,
    only_passing: bool,
    #[serde(rename = "IgnoreCheckIDs")]
    ignore_check_ids: Option<&'a [String]>,
    near: &'a str,
    tags: Option<&'a [String]>,
    #[serde(serialize_with = "texts_or_null")]
    node_meta: &'a BTreeMap<String, String>,
    #[serde(serialize_with = "texts_or_null")]
    service_meta: &'a BTreeMap<String, String>,
    connect: bool,
}

#[derive(Serialize)]
struct DnsView<'a> {
    #[serde(rename = "TTL")]
    ttl: &'a str,
}

/// A definition.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueryView<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    session: &'a str,
    token: &'a str,
    template: TemplateView<'a>,
    service: ServiceView<'a>,
    #[serde(rename = "DNS")]
    dns: DnsView<'a>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a PreparedQuery> for QueryView<'a> {
    fn from(it: &'a PreparedQuery) -> Self {
        let (template, service) = (&it.template, &it.service);
        Self {
            id: &it.id,
            name: &it.name,
            session: &it.session,
            token: &it.token,
            template: TemplateView {
                kind: &template.kind,
                regexp: &template.regexp,
                remove_empty_tags: template.remove_empty_tags,
            },
            service: ServiceView {
                service: &service.service,
                failover: FailoverView {
                    nearest_n: service.failover.nearest_n,
                    datacenters: list(&service.failover.datacenters),
                },
                only_passing: service.only_passing,
                ignore_check_ids: list(&service.ignore_check_ids),
                near: &service.near,
                tags: list(&service.tags),
                node_meta: &service.node_meta,
                service_meta: &service.service_meta,
                connect: service.connect,
            },
            dns: DnsView { ttl: &it.dns_ttl },
            create_index: it.create_index,
            modify_index: it.modify_index,
        }
    }
}

/// What an answer that never blocks says about itself.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetaView {
    index: u64,
    /// Nanoseconds.
    last_contact: u64,
    known_leader: bool,
    consistency_level: &'static str,
    not_modified: bool,
}

impl MetaView {
    fn of(found: &Found) -> Self {
        let last_contact = found.meta.last_contact.as_nanos();
        Self {
            index: 0,
            last_contact: u64::try_from(last_contact).unwrap_or(u64::MAX),
            known_leader: found.meta.known_leader,
            consistency_level: consistency(found.mode),
            not_modified: false,
        }
    }
}

/// The definition that is meant.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExplainedView<'a> {
    query: QueryView<'a>,
    #[serde(flatten)]
    meta: MetaView,
}

impl<'a> ExplainedView<'a> {
    pub(super) fn new(query: &'a PreparedQuery, found: &Found) -> Self {
        Self { query: query.into(), meta: MetaView::of(found) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceView<'a> {
    node: NodeView<'a>,
    service: NodeServiceView<'a>,
    checks: Option<Vec<HealthCheckView<'a>>>,
}

impl<'a> From<&'a CheckServiceNode> for InstanceView<'a> {
    fn from(it: &'a CheckServiceNode) -> Self {
        let checks = it.checks.iter().map(|check| HealthCheckView::new(check, Empty::Null));
        Self {
            node: (&*it.node).into(),
            service: NodeServiceView::new(&it.service, Empty::Null),
            checks: (!it.checks.is_empty()).then(|| checks.collect()),
        }
    }
}

/// Its instances.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExecutedView<'a> {
    service: &'a str,
    nodes: Vec<InstanceView<'a>>,
    #[serde(rename = "DNS")]
    dns: DnsView<'a>,
    datacenter: &'a str,
    failovers: u64,
    #[serde(flatten)]
    meta: MetaView,
}

impl<'a> ExecutedView<'a> {
    pub(super) fn new(outcome: &'a QueryOutcome, found: &Found) -> Self {
        Self {
            service: &outcome.service,
            nodes: outcome.nodes.iter().map(InstanceView::from).collect(),
            dns: DnsView { ttl: &outcome.dns_ttl },
            datacenter: &outcome.datacenter,
            failovers: outcome.failovers,
            meta: MetaView::of(found),
        }
    }
}
