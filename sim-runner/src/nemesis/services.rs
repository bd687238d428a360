//! `register`, `deregister`, `service-down` and `service-up` (language section 6): what an operator asks of
//! an agent about its services, through its HTTP API, and what happens to the programs behind them
//! ([`backends`](crate::cluster::backends)).

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use crate::history::operation::Call;
use crate::history::request::{Request, Through};
use crate::scenario::model::{Step, Target};
use crate::scenario::service_verb::{field, id_of};
use crate::trace::event::Host;
use crate::workload::encode::judge;
use crate::workload::user::User;

use super::request::{PATIENCE, shortened};
use super::script::Script;
use super::targets::Needs;
use super::undo::Undo;

impl Script {
    pub(super) async fn register(
        &self,
        index: usize,
        step: &Step,
        target: &Target,
        service: &Value,
    ) {
        let Some(hosts) = self.resolve(index, step, target, Needs::Up) else { return };
        let service = match self.filled(service) {
            Ok(service) => service,
            Err(why) => return self.fail(index, why),
        };
        let id = id_of(&service).unwrap_or_default().to_owned();
        self.announce(index, step, id.clone(), &hosts);
        for host in hosts {
            let name = field(&service, "name").and_then(Value::as_str).unwrap_or_default();
            let port = field(&service, "port").and_then(Value::as_u64).unwrap_or_default();
            let request = Request::Register {
                through: Through::Agent,
                node: self.cluster.name(host).to_owned(),
                id: id.clone(),
                port: u16::try_from(port).unwrap_or_default(),
            };
            let body = Bytes::from(service.to_string());
            let path = "/v1/agent/service/register";
            match self.ask_about(step, host, (name, request), path, body).await {
                Ok(()) => self.cluster.backends().register(&self.cluster, host, &id, &service),
                Err(why) => self.fail(index, why),
            }
        }
    }

    pub(super) async fn deregister(&self, index: usize, step: &Step, target: &Target, id: &str) {
        let Some(hosts) = self.resolve(index, step, target, Needs::Up) else { return };
        let id = match self.fill(id) {
            Ok(id) => id,
            Err(why) => return self.fail(index, why),
        };
        self.announce(index, step, id.clone(), &hosts);
        for host in hosts {
            let node = self.cluster.name(host).to_owned();
            let request = Request::Deregister { through: Through::Agent, node, id: id.clone() };
            let path = format!("/v1/agent/service/deregister/{id}");
            let asked = self.ask_about(step, host, (&id, request), &path, Bytes::new()).await;
            if let Err(why) = asked {
                self.fail(index, why);
            }
            self.cluster.backends().deregister(host, &id);
        }
    }

    /// Makes what stands behind a service fail or pass; whether anything was done.
    pub(super) fn turn_service(
        &self,
        index: usize,
        step: &Step,
        (target, id): (Option<&Target>, &str),
        up: bool,
    ) -> bool {
        let id = match self.fill(id) {
            Ok(id) => id,
            Err(why) => {
                self.fail(index, why);
                return false;
            }
        };
        let mut hosts = self.cluster.backends().of(&id);
        if let Some(target) = target {
            let Some(of_target) = self.resolve(index, step, target, Needs::Nothing) else {
                return false;
            };
            hosts.retain(|host| of_target.contains(host));
        }
        if hosts.is_empty() {
            self.fail(index, format!("no step has registered a service {id:?} there"));
            return false;
        }
        self.announce(index, step, id.clone(), &hosts);
        for host in hosts {
            self.cluster.backends().set(&self.cluster, host, &id, up);
            if up {
                self.undone_by_hand(
                    |undo| matches!(undo, Undo::ServiceUp(at, of) if *at == host && *of == id),
                );
            } else {
                self.remember(index, Undo::ServiceUp(host, id.clone()));
            }
        }
        true
    }

    /// Names in braces in all texts of a definition.
    fn filled(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill(text)?),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.filled(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let filled =
                    |(key, value): (&String, &Value)| Ok((key.clone(), self.filled(value)?));
                Value::Object(fields.iter().map(filled).collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    /// Asks an agent for something that it answers with success or not at all; the history tells of it.
    async fn ask_about(
        &self,
        step: &Step,
        host: Host,
        (key, request): (&str, Request),
        path: &str,
        body: Bytes,
    ) -> Result<(), String> {
        let mut user = User::new(self.runtime.clone());
        let (at, testbed) = (self.cluster.http_address(host), self.cluster.testbed());
        let (who, call) = (format!("step {}", step.id), Call::Of(request.clone()));
        let op = self.cluster.invoke(testbed, &who, host, key, &call);
        let result = user.request(at, Method::PUT, path, body, PATIENCE).await;
        self.cluster.complete(testbed, op, judge(&request, &result));
        let name = self.cluster.name(host);
        let answer = result.map_err(|error| format!("no answer from {name}: {error}"))?;
        if answer.status == 200 {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        Err(format!("{name} answered {} {:?}", answer.status, shortened(body.trim())))
    }
}
