//! What this server has told others, as facts for the trace.
//!
//! From the moment a vote or an acknowledgement leaves, it must survive a crash; before, it need not.
//! The oracles of the testbed need that moment, and only here are question and answer seen together.

use std::collections::BTreeMap;

use crate::base::{LogIndex, ReplyToken, ServerAddress, Term};
use crate::raft::{Request, Response};

use super::event::Event;

/// Questions of peers that have no answer yet, and what was last told.
#[derive(Debug, Default)]
pub(super) struct Told {
    asked: BTreeMap<ReplyToken, Asked>,
    /// Newest own candidacy that was announced.
    candidacy: Term,
    acked: (Term, LogIndex),
}

#[derive(Debug)]
enum Asked {
    Vote(ServerAddress),
    Append { last: LogIndex },
}

impl Told {
    /// A peer asks.
    pub fn asked(&mut self, token: ReplyToken, request: &Request) {
        match request {
            Request::RequestVote(vote) => {
                self.asked.insert(token, Asked::Vote(vote.candidate.clone()));
            }
            Request::AppendEntries(append) if !append.is_heartbeat() => {
                let last = LogIndex(append.prev_index.0 + append.entries.len() as u64);
                self.asked.insert(token, Asked::Append { last });
            }
            Request::InstallSnapshot(install) => {
                self.asked.insert(token, Asked::Append { last: install.snapshot.index });
            }
            Request::AppendEntries(_) | Request::RequestPreVote(_) | Request::TimeoutNow => {}
        }
    }

    /// The answer leaves.
    pub fn answered(&mut self, token: ReplyToken, response: &Response) -> Option<Event> {
        match (self.asked.remove(&token)?, response) {
            (Asked::Vote(candidate), Response::RequestVote(vote)) if vote.granted => {
                Some(Event::VoteTold { term: vote.term, candidate })
            }
            (Asked::Append { last }, Response::AppendEntries(append))
                if append.success && (append.term, last) > self.acked =>
            {
                self.acked = (append.term, last);
                Some(Event::Acked { index: last, term: append.term })
            }
            (Asked::Append { last }, Response::InstallSnapshot(install))
                if install.success && (install.term, last) > self.acked =>
            {
                self.acked = (install.term, last);
                Some(Event::Acked { index: last, term: install.term })
            }
            _ => None,
        }
    }

    /// A question of this server leaves.
    pub fn asks(&mut self, request: &Request) -> Option<Event> {
        let Request::RequestVote(vote) = request else { return None };
        if vote.term <= self.candidacy {
            return None;
        }
        self.candidacy = vote.term;
        Some(Event::VoteTold { term: vote.term, candidate: vote.candidate.clone() })
    }
}
