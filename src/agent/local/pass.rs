//! One pass over what is out of line with the catalog, one order at a time (spec cluster 8.3, 8.4).
//!
//! ```text
//!   full:     own services ─► own checks ─► compare ─┐
//!   changes:  ───────────────────────────────────────┴─► node ─► services ─► checks ─► end
//! ```
//!
//! A comparison knows of nothing but this node: it asks for this node by name and throws away what comes
//! back under another. Orders name this node alone. An order that fails leaves its entry for the next
//! pass, and the others go on; only without the node none of them would do.

use crate::agent::io::Output;
use crate::agent::types::{Failure, ReadMode, ReadOptions, Reply, Request};
use crate::base::{Duration, Instant, RequestId};
use crate::state::{
    Answer, Command, CommandResult, Deregister, Node, NodeService, Query, Register, Rows,
};

use super::agenda::Due;
use super::core::{Local, note, tell};
use super::entries::Version;
use super::facts::{Item, LocalFact};
use super::syncer::Wanted;
use super::types::LocalReply;

/// A stale answer may be so old; an older one is asked for again, of the leader.
const STALE_MAX: Duration = Duration::from_secs(2);

/// A pass under way.
#[derive(Debug)]
pub(super) struct Pass {
    full: bool,
    stage: Stage,
    /// Who is answered when it ends.
    pub waiters: Vec<RequestId>,
    errors: Vec<String>,
}

/// What is under way.
#[derive(Debug)]
enum Stage {
    ReadServices { mode: ReadMode },
    ReadChecks { mode: ReadMode, node: Option<Node>, services: Vec<NodeService> },
    Push(Order),
    Begin,
}

/// Something the catalog is told, with the versions that it carries.
#[derive(Debug)]
enum Order {
    Node,
    Service { id: String, version: Version, checks: Vec<(String, Version)> },
    NoService { id: String, version: Version },
    Check { id: String, version: Version },
    NoCheck { id: String, version: Version },
}

impl Local {
    pub(super) fn begin_pass(&mut self, now: Instant, wanted: Wanted, out: &mut Vec<Output>) {
        let full = wanted == Wanted::Full;
        let waiters = if full { Vec::new() } else { std::mem::take(&mut self.waiters) };
        let mode = ReadMode::Stale;
        let stage = if full { Stage::ReadServices { mode } } else { Stage::Begin };
        self.pass = Some(Pass { full, stage, waiters, errors: Vec::new() });
        if self.syncer.has_ended() {
            self.end_pass(now, out);
        } else if full {
            self.ask_for_pass(Request::Read { query: self.own_services(), options: read(mode) });
        } else {
            self.push_next(now, out);
        }
    }

    fn ask_for_pass(&mut self, request: Request) {
        self.pass_errand = Some(self.send(request));
    }

    fn own_services(&self) -> Query {
        Query::CatalogNode { node: self.config.node_name.clone() }
    }

    fn own_checks(&self) -> Query {
        Query::HealthNode { node: self.config.node_name.clone() }
    }

    /// The answer to what the pass has asked.
    pub(super) fn pass_on(
        &mut self,
        now: Instant,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        let Some(pass) = &mut self.pass else { return };
        match std::mem::replace(&mut pass.stage, Stage::Begin) {
            Stage::ReadServices { mode } => {
                match rows(result) {
                    Err(why) => return self.fail_pass(now, why, out),
                    Ok((_, true)) if mode == ReadMode::Stale => {
                        pass.stage = Stage::ReadServices { mode: ReadMode::Default };
                        let query = self.own_services();
                        let options = read(ReadMode::Default);
                        return self.ask_for_pass(Request::Read { query, options });
                    }
                    Ok((Rows::NodeServices(found), _)) => {
                        // A name that is the beginning of an id may find another node.
                        let own = &self.config.node_name;
                        let found = found.filter(|(node, _)| node.node.eq_ignore_ascii_case(own));
                        let (node, services) =
                            found.map_or((None, Vec::new()), |(node, it)| (Some(node), it));
                        let mode = ReadMode::Stale;
                        pass.stage = Stage::ReadChecks { mode, node, services };
                    }
                    Ok(_) => return self.fail_pass(now, "unexpected answer".to_owned(), out),
                }
                let options = read(ReadMode::Stale);
                self.ask_for_pass(Request::Read { query: self.own_checks(), options });
            }
            Stage::ReadChecks { mode, node, services } => match rows(result) {
                Err(why) => self.fail_pass(now, why, out),
                Ok((_, true)) if mode == ReadMode::Stale => {
                    let mode = ReadMode::Default;
                    pass.stage = Stage::ReadChecks { mode, node, services };
                    let query = self.own_checks();
                    self.ask_for_pass(Request::Read { query, options: read(mode) });
                }
                Ok((Rows::Checks(checks), _)) => {
                    self.compare(node.as_ref(), services, checks);
                    self.push_next(now, out);
                }
                Ok(_) => self.fail_pass(now, "unexpected answer".to_owned(), out),
            },
            Stage::Push(order) => {
                let went_on = self.order_ended(&order, written(result), out);
                if went_on {
                    self.push_after(now, Some(&order), out);
                } else {
                    self.end_pass(now, out);
                }
            }
            Stage::Begin => {}
        }
    }

    fn fail_pass(&mut self, now: Instant, why: String, out: &mut Vec<Output>) {
        if let Some(pass) = &mut self.pass {
            pass.errors.push(why);
        }
        self.end_pass(now, out);
    }

    /// Notes what has come of an order; false: the pass ends here.
    fn order_ended(
        &mut self,
        order: &Order,
        result: Result<(), String>,
        out: &mut Vec<Output>,
    ) -> bool {
        let item = match order {
            Order::Node => Item::Node,
            Order::Service { id, .. } | Order::NoService { id, .. } => Item::Service(id.clone()),
            Order::Check { id, .. } | Order::NoCheck { id, .. } => Item::Check(id.clone()),
        };
        let removes = matches!(order, Order::NoService { .. } | Order::NoCheck { .. });
        let result = match result {
            Err(why) if removes && why.contains("Unknown ") => Ok(()),
            other => other,
        };
        if let Err(why) = result {
            let fact = match removes {
                true => LocalFact::NotDeregistered(item, why.clone()),
                false => LocalFact::NotSynced(item, why.clone()),
            };
            note(fact, out);
            if let Some(pass) = &mut self.pass {
                pass.errors.push(why);
            }
            return !matches!(order, Order::Node);
        }
        let entries = &mut self.entries;
        // A registration carries the node along.
        entries.node_in_sync |= !removes;
        match order {
            Order::Node => {}
            Order::Service { id, version, checks } => {
                entries.service_taken(id, *version);
                checks.iter().for_each(|(id, version)| entries.check_taken(id, *version));
            }
            Order::NoService { id, version } => entries.service_let_go(id, *version),
            Order::Check { id, version } => entries.check_taken(id, *version),
            Order::NoCheck { id, version } => entries.check_let_go(id, *version),
        }
        note(if removes { LocalFact::Deregistered(item) } else { LocalFact::Synced(item) }, out);
        true
    }

    fn push_next(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.push_after(now, None, out);
    }

    /// Tells the catalog the next thing that is out of line, in the order node, services, checks.
    fn push_after(&mut self, now: Instant, last: Option<&Order>, out: &mut Vec<Output>) {
        let order = match last {
            None if !self.entries.node_in_sync => Some(Order::Node),
            None | Some(Order::Node) => self.service_order(None).or_else(|| self.check_order(None)),
            Some(Order::Service { id, .. } | Order::NoService { id, .. }) => {
                self.service_order(Some(id)).or_else(|| self.check_order(None))
            }
            Some(Order::Check { id, .. } | Order::NoCheck { id, .. }) => self.check_order(Some(id)),
        };
        let Some(order) = order else { return self.end_pass(now, out) };
        let command = self.command(&order);
        if let Some(pass) = &mut self.pass {
            pass.stage = Stage::Push(order);
        }
        self.ask_for_pass(Request::Write(command));
    }

    fn service_order(&self, after: Option<&String>) -> Option<Order> {
        let late = |id: &String| after.is_none_or(|after| id > after);
        let entries = &self.entries;
        let push = entries.services.iter().find(|(id, it)| late(id) && !it.in_sync);
        let gone = entries.gone_services.iter().find(|(id, _)| late(id));
        match (push, gone) {
            (push, Some((id, gone))) if push.is_none_or(|(other, _)| id < other) => {
                Some(Order::NoService { id: id.clone(), version: gone.version })
            }
            (Some((id, entry)), _) => {
                let checks = entries.checks.iter().filter(|(_, check)| {
                    !check.in_sync && check.check.service_id == *id && check.token == entry.token
                });
                let checks = checks.map(|(id, it)| (id.clone(), it.version)).collect();
                Some(Order::Service { id: id.clone(), version: entry.version, checks })
            }
            (None, _) => None,
        }
    }

    fn check_order(&self, after: Option<&String>) -> Option<Order> {
        let late = |id: &String| after.is_none_or(|after| id > after);
        let entries = &self.entries;
        let push = entries.checks.iter().find(|(id, it)| late(id) && !it.in_sync);
        let gone = entries.gone_checks.iter().find(|(id, _)| late(id));
        match (push, gone) {
            (push, Some((id, gone))) if push.is_none_or(|(other, _)| id < other) => {
                Some(Order::NoCheck { id: id.clone(), version: gone.version })
            }
            (Some((id, entry)), _) => Some(Order::Check { id: id.clone(), version: entry.version }),
            (None, _) => None,
        }
    }

    fn command(&mut self, order: &Order) -> Command {
        let node = self.config.node_name.clone();
        let mut register = Register { node: self.node(), ..Register::default() };
        register.skip_node_update = self.entries.node_in_sync;
        let checks: Vec<&String> = match order {
            Order::NoService { id, .. } => {
                let service_id = id.clone();
                let what = Deregister { node, service_id, ..Deregister::default() };
                return Command::Deregister(what);
            }
            Order::NoCheck { id, .. } => {
                let check_id = id.clone();
                return Command::Deregister(Deregister { node, check_id, ..Deregister::default() });
            }
            Order::Node => {
                register.skip_node_update = false;
                Vec::new()
            }
            Order::Service { id, checks, .. } => {
                register.service = self.entries.services.get(id).map(|it| it.service.clone());
                checks.iter().map(|(id, _)| id).collect()
            }
            Order::Check { id, .. } => {
                // With its service, which the catalog may have lost.
                let service = self.entries.checks.get(id).map(|it| it.check.service_id.clone());
                let service = service.and_then(|id| self.entries.services.get(&id));
                register.service = service.map(|it| it.service.clone());
                vec![id]
            }
        };
        for id in checks {
            // It goes now: what was put off goes with it.
            self.agenda.set(id, Due::Output, None);
            register.checks.extend(self.entries.checks.get(id).map(|it| it.check.clone()));
        }
        Command::Register(Box::new(register))
    }

    fn node(&self) -> Node {
        Node {
            id: self.config.node_id.clone(),
            node: self.config.node_name.clone(),
            address: self.config.address.clone(),
            datacenter: self.config.datacenter.clone(),
            tagged_addresses: self.config.tagged_addresses.clone(),
            meta: self.config.node_meta.clone(),
            ..Node::default()
        }
    }

    fn end_pass(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(pass) = self.pass.take() else { return };
        let why = pass.errors.join("; ");
        let well = pass.errors.is_empty();
        if !well {
            let fact = if pass.full {
                LocalFact::RemoteStateNotSynced(why)
            } else {
                LocalFact::ChangesNotSynced(why)
            };
            note(fact, out);
        }
        if pass.full {
            self.syncer.full_ended(now, well);
        }
        pass.waiters.into_iter().for_each(|id| tell(id, LocalReply::Done, out));
    }
}

fn read(mode: ReadMode) -> ReadOptions {
    ReadOptions { mode, ..ReadOptions::default() }
}

/// The rows of an answer, and whether they may be too old.
fn rows(result: Result<Reply, Failure>) -> Result<(Rows, bool), String> {
    match result {
        Ok(Reply::Read { answer: Answer { rows, .. }, meta }) => {
            Ok((rows, meta.last_contact > STALE_MAX))
        }
        Ok(_) => Err("unexpected answer".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

fn written(result: Result<Reply, Failure>) -> Result<(), String> {
    match result {
        Ok(Reply::Written(CommandResult::Error(why))) => Err(why),
        Ok(_) => Ok(()),
        Err(why) => Err(why.to_string()),
    }
}
