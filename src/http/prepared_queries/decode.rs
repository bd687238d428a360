//! A definition's JSON. Fields that nobody knows are refused, as Consul does.

use crate::http::decode::Object;
use crate::state::{PreparedQuery, QueryFailover, QueryTemplate, ServiceQuery};

pub(super) fn definition(body: &Object) -> Result<PreparedQuery, String> {
    body.only(&[
        "ID",
        "Name",
        "Session",
        "Token",
        "Template",
        "Service",
        "DNS",
        "CreateIndex",
        "ModifyIndex",
    ])?;
    let mut query = PreparedQuery {
        id: body.text("ID")?,
        name: body.text("Name")?,
        session: body.text("Session")?,
        token: body.text("Token")?,
        ..PreparedQuery::default()
    };
    if let Some(it) = body.object("Template", "QueryTemplateOptions")? {
        it.only(&["Type", "Regexp", "RemoveEmptyTags"])?;
        query.template = QueryTemplate {
            kind: it.text("Type")?,
            regexp: it.text("Regexp")?,
            remove_empty_tags: it.flag("RemoveEmptyTags")?,
        };
    }
    if let Some(it) = body.object("Service", "ServiceQuery")? {
        query.service = service(&it)?;
    }
    if let Some(it) = body.object("DNS", "QueryDNSOptions")? {
        it.only(&["TTL"])?;
        query.dns_ttl = it.text("TTL")?;
    }
    Ok(query)
}

fn service(it: &Object) -> Result<ServiceQuery, String> {
    it.only(&[
        "Service",
        "Failover",
        "OnlyPassing",
        "IgnoreCheckIDs",
        "Near",
        "Tags",
        "NodeMeta",
        "ServiceMeta",
        "Connect",
    ])?;
    let mut failover = QueryFailover::default();
    if let Some(it) = it.object("Failover", "QueryDatacenterOptions")? {
        it.only(&["NearestN", "Datacenters"])?;
        failover.nearest_n = it.signed("NearestN")?;
        failover.datacenters = it.texts("Datacenters")?;
    }
    Ok(ServiceQuery {
        service: it.text("Service")?,
        failover,
        only_passing: it.flag("OnlyPassing")?,
        ignore_check_ids: it.texts("IgnoreCheckIDs")?,
        near: it.text("Near")?,
        tags: it.texts("Tags")?,
        node_meta: it.text_map("NodeMeta")?,
        service_meta: it.text_map("ServiceMeta")?,
        connect: it.flag("Connect")?,
    })
}
