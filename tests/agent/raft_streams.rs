//! What a connection gives, and the rules of Consul 0.5.2 need: appends from one server to another, and
//! their answers, keep their order, and one that is lost takes all others under way with it.

use proconsul::base::CallId;
use proconsul::raft::{CallError, Input, Lane};

use crate::raft_cluster::{Body, Cluster, Message, Owed};
use crate::raft_judge::Violation;
use crate::raft_shape::Discipline;

impl Message {
    /// Caller and callee.
    fn ends(&self) -> (usize, usize) {
        match self.body {
            Body::Request(_) => (self.from, self.to),
            Body::Response(_) => (self.to, self.from),
        }
    }
}

impl Cluster {
    pub fn keeps_streams(&self) -> bool {
        self.shape.discipline != Discipline::Modern
    }

    /// What has to be delivered before this message: on a connection, requests and answers keep their
    /// order, and an answer that waits for a disk holds up the later ones.
    pub fn first_of_stream(&mut self, position: usize) -> Result<usize, Violation> {
        let chosen = self.messages[position].clone();
        if chosen.lane != Lane::Replication {
            return Ok(position);
        }
        let (caller, callee) = chosen.ends();
        let owed = self.owed.values();
        let mut waits =
            owed.filter(|owed| (owed.to, owed.by, owed.lane) == (caller, callee, chosen.lane));
        if matches!(chosen.body, Body::Response(_)) && waits.any(|owed| owed.call < chosen.call) {
            while self.persist(callee)? {}
        }
        let same =
            |message: &Message| message.lane == chosen.lane && message.ends() == (caller, callee);
        let first = (0..self.messages.len())
            .filter(|&at| same(&self.messages[at]))
            .min_by_key(|&at| self.messages[at].call);
        Ok(first.unwrap_or(position))
    }

    /// Ends a connection: all that is under way on it, either way, is lost.
    pub fn break_stream(&mut self, position: usize) -> Result<(), Violation> {
        let (caller, callee) = self.messages[position].ends();
        let is_of = |message: &Message| {
            message.lane == Lane::Replication && message.ends() == (caller, callee)
        };
        let mut calls: Vec<(u32, CallId)> = self
            .messages
            .iter()
            .filter(|message| is_of(message))
            .map(|message| (message.caller_life, message.call))
            .collect();
        self.messages.retain(|message| !is_of(message));
        let is_owed =
            |owed: &Owed| (owed.to, owed.by, owed.lane) == (caller, callee, Lane::Replication);
        let hung = self.owed.values().filter(|owed| is_owed(owed));
        calls.extend(hung.map(|owed| (owed.caller_life, owed.call)));
        self.owed.retain(|_, owed| !is_owed(owed));
        calls.sort_unstable();
        for (life, call) in calls {
            if self.nodes[caller].life == life {
                self.step(caller, Input::Reply { call, result: Err(CallError::Unreachable) })?;
            }
        }
        Ok(())
    }

    /// Connections end with the process at their end.
    pub fn end_streams_to(&mut self, at: usize) {
        for message in &mut self.messages {
            let is_request = matches!(message.body, Body::Request(_));
            if is_request && message.lane == Lane::Replication && message.to == at {
                (message.from, message.to) = (message.to, message.from);
                message.body = Body::Response(Err(CallError::Unreachable));
            }
        }
    }
}
