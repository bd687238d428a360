//! The oracle of the Raft tests: watches all servers and checks after every output what takes more
//! than one server to see (Raft paper figure 3; thesis 6.4).

use std::collections::{BTreeMap, BTreeSet};

use proconsul::base::{LogIndex, RequestId, ServerAddress, Term};
use proconsul::raft::{
    Configuration, Entry, Event, Output, Raft, Request, Response, Role, Suffrage,
};

use crate::raft_cluster::{Node, Owed};
use crate::raft_disk::State;

/// A broken property.
#[derive(Debug)]
pub struct Violation {
    pub property: &'static str,
    pub detail: String,
}

impl Violation {
    pub fn new(property: &'static str, detail: impl Into<String>) -> Self {
        Self { property, detail: detail.into() }
    }
}

/// What was seen so far.
#[derive(Default)]
pub struct Judge {
    leaders: BTreeMap<Term, usize>,
    /// Content of each (index, term) and the term before it, wherever it was appended first.
    entries: BTreeMap<(LogIndex, Term), (Term, Entry)>,
    /// Each committed entry and the term of the server that committed it first.
    committed: BTreeMap<LogIndex, (Term, Entry)>,
    /// The state after each index, wherever it was reached first.
    states: BTreeMap<LogIndex, State>,
    /// Each committed set of servers.
    pub sets: BTreeMap<LogIndex, Configuration>,
    commit_indexes: BTreeMap<usize, LogIndex>,
    /// Votes that others were told of.
    votes: BTreeMap<(usize, Term), ServerAddress>,
    /// What had been committed anywhere when a read began.
    reads: BTreeMap<RequestId, LogIndex>,
    /// Requests that have an outcome.
    pub outcomes: BTreeSet<RequestId>,
    /// Properties that the rules under test do not keep.
    pub exempt: BTreeSet<&'static str>,
    /// How often one of them was broken.
    pub exempted: BTreeMap<&'static str, usize>,
    /// How much was judged, so that a test can tell that it tested something.
    pub commits: usize,
    pub reads_confirmed: usize,
    pub installed: usize,
    /// Snapshots that brought another set of servers than the one that was in force.
    pub sets_installed: usize,
}

impl Judge {
    /// A process life begins: its commit index starts over.
    pub fn started(&mut self, at: usize) {
        self.commit_indexes.remove(&at);
    }

    /// Counts a violation of an exempt property, and lets it pass.
    pub fn unless_exempt(&mut self, verdict: Result<(), Violation>) -> Result<(), Violation> {
        match verdict {
            Err(violation) if self.exempt.contains(violation.property) => {
                *self.exempted.entry(violation.property).or_default() += 1;
                Ok(())
            }
            verdict => verdict,
        }
    }

    pub fn verify_begins(&mut self, id: RequestId) {
        self.reads.insert(id, self.last_committed());
    }

    pub fn last_committed(&self) -> LogIndex {
        self.states.last_key_value().map_or(LogIndex(0), |(&index, _)| index)
    }

    /// State machine safety, the short way: whoever has applied as much is in the same state.
    pub fn applied(&mut self, who: &ServerAddress, state: State) -> Result<(), Violation> {
        let known = *self.states.entry(state.applied).or_insert(state);
        if known == state {
            return Ok(());
        }
        let detail = format!("{who} is in another state at {}", state.applied);
        Err(Violation::new("state-machine-safety", detail))
    }

    /// What is known of this index, or else this.
    pub fn believe(&mut self, state: State) -> State {
        *self.states.entry(state.applied).or_insert(state)
    }

    /// A snapshot is of a state that somebody has come to by applying.
    pub fn installed(&mut self, who: &ServerAddress, state: State) -> Result<(), Violation> {
        self.installed += 1;
        if self.states.contains_key(&state.applied) {
            return self.applied(who, state);
        }
        let detail = format!("{who} installs {}, which nobody has committed", state.applied);
        Err(Violation::new("state-machine-safety", detail))
    }

    pub fn observe(
        &mut self,
        nodes: &[Node],
        at: usize,
        output: &Output,
        owed: Option<&Owed>,
    ) -> Result<(), Violation> {
        self.answers_once(output)?;
        match output {
            Output::Event(Event::RoleChanged { role: Role::Leader, term }) => {
                self.election_safety(at, *term)
            }
            Output::Event(Event::Appended(entries)) => self.log_matching(&nodes[at], entries),
            Output::Event(Event::CommitAdvanced(index)) => self.commit_monotonic(at, *index),
            Output::Commit(committed) => {
                for one in committed {
                    self.state_machine_safety(&nodes[at], &one.entry)?;
                }
                let last = &committed.last().expect("never empty").entry;
                commit_is_allowed(nodes, at, last)
            }
            Output::Reply { response: Response::RequestVote(response), .. } if response.granted => {
                match owed.map(|owed| &owed.request) {
                    Some(Request::RequestVote(request)) => {
                        self.vote_durability(nodes, at, request.term, &request.candidate)
                    }
                    _ => Ok(()),
                }
            }
            Output::Call { request: Request::RequestVote(request), .. } => {
                self.vote_durability(nodes, at, request.term, &request.candidate)
            }
            Output::Reply { response: Response::AppendEntries(response), .. }
                if response.success =>
            {
                owed.map_or(Ok(()), |owed| durability(&nodes[at], &owed.request))
            }
            Output::Reply { response: Response::InstallSnapshot(response), .. }
                if response.success =>
            {
                owed.map_or(Ok(()), |owed| durability(&nodes[at], &owed.request))
            }
            Output::Verified { id, result: Ok(index) } => self.linearizable(*id, *index),
            _ => Ok(()),
        }
    }

    fn answers_once(&mut self, output: &Output) -> Result<(), Violation> {
        let ended: Vec<RequestId> = match output {
            Output::Refused { id, .. }
            | Output::Verified { id, .. }
            | Output::Transferred { id, .. } => vec![*id],
            Output::Commit(committed) => committed.iter().filter_map(|one| one.proposal).collect(),
            _ => Vec::new(),
        };
        match ended.into_iter().find(|id| !self.outcomes.insert(*id)) {
            Some(id) => Err(Violation::new("answers-once", format!("r{id} ends twice"))),
            None => Ok(()),
        }
    }

    fn election_safety(&mut self, at: usize, term: Term) -> Result<(), Violation> {
        match self.leaders.insert(term, at) {
            Some(other) if other != at => Err(Violation::new(
                "election-safety",
                format!("n{} and n{} lead term {term}", other + 1, at + 1),
            )),
            _ => Ok(()),
        }
    }

    /// By induction over the log: the same (index, term) has the same content and the same entry
    /// before it.
    fn log_matching(&mut self, node: &Node, entries: &[Entry]) -> Result<(), Violation> {
        for entry in entries {
            let before = LogIndex(entry.index.0 - 1);
            let before = node.log.term_at(before).expect("the entry before a new one");
            let fact = (before, entry.clone());
            let known =
                self.entries.entry((entry.index, entry.term)).or_insert_with(|| fact.clone());
            if *known != fact {
                return Err(Violation::new(
                    "log-matching",
                    format!("{}@{} differs on {}", entry.index, entry.term, node.address),
                ));
            }
        }
        Ok(())
    }

    fn commit_monotonic(&mut self, at: usize, index: LogIndex) -> Result<(), Violation> {
        match self.commit_indexes.insert(at, index) {
            Some(before) if before >= index => Err(Violation::new(
                "commit-monotonic",
                format!("n{} went from {before} to {index}", at + 1),
            )),
            _ => Ok(()),
        }
    }

    fn state_machine_safety(&mut self, node: &Node, entry: &Entry) -> Result<(), Violation> {
        match self.committed.get(&entry.index) {
            Some((_, known)) if known != entry => Err(Violation::new(
                "state-machine-safety",
                format!("{} applies another entry {} than before", node.address, entry.index),
            )),
            Some(_) => Ok(()),
            None => {
                let term = node.raft.as_ref().map_or(Term(0), Raft::term);
                self.committed.insert(entry.index, (term, entry.clone()));
                self.set_committed(entry);
                self.commits += 1;
                Ok(())
            }
        }
    }

    /// What others are told of a vote is on disk, and never anything else was told for that term.
    fn vote_durability(
        &mut self,
        nodes: &[Node],
        at: usize,
        term: Term,
        candidate: &ServerAddress,
    ) -> Result<(), Violation> {
        let told = self.votes.entry((at, term)).or_insert_with(|| candidate.clone());
        let on_disk = nodes[at].disk.hard_state.vote.as_ref();
        let durable = on_disk.is_some_and(|vote| {
            vote.term > term || vote.term == term && vote.candidate == *candidate
        });
        // A second vote that is faithfully written is election safety's to find.
        if told == candidate && !durable {
            let detail = format!("n{} tells of a vote in {term} that it may forget", at + 1);
            return Err(Violation::new("vote-durability", detail));
        }
        Ok(())
    }

    /// A confirmed read sees all that was committed anywhere before it began.
    fn linearizable(&mut self, id: RequestId, index: LogIndex) -> Result<(), Violation> {
        self.reads_confirmed += 1;
        match self.reads.get(&id) {
            Some(&floor) if index < floor => Err(Violation::new(
                "linearizable",
                format!("read r{id} at {index}, but {floor} was committed before"),
            )),
            _ => Ok(()),
        }
    }

    /// Leader completeness: what earlier terms have committed is in the leader's log.
    pub fn judge_leaders(&self, nodes: &[Node]) -> Result<(), Violation> {
        for node in nodes {
            let Some(raft) = node.raft.as_ref().filter(|raft| raft.is_leader()) else { continue };
            for (term, entry) in self.committed.values() {
                let has = node.log.covers(entry.index) || node.log.get(entry.index) == Some(entry);
                if *term < raft.term() && !has {
                    return Err(Violation::new(
                        "leader-completeness",
                        format!("{} leads {} without {}", node.address, raft.term(), entry.index),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// A leader commits by counting only entries of its own term (figure 8), and only what a majority of
/// disks has.
fn commit_is_allowed(nodes: &[Node], at: usize, last: &Entry) -> Result<(), Violation> {
    let Some(raft) = nodes[at].raft.as_ref().filter(|raft| raft.is_leader()) else { return Ok(()) };
    if last.term != raft.term() {
        let detail = format!("{} counts {}@{}", nodes[at].address, last.index, last.term);
        return Err(Violation::new("leader-completeness", detail));
    }
    // The set in force on the leader when it commits decides. What damage took was counted rightly
    // when it was acknowledged.
    let votes = |node: &&Node| {
        let mut servers = nodes[at].in_force.servers.iter();
        servers.any(|it| it.address == node.address && it.suffrage == Suffrage::Voter)
    };
    let voters: Vec<&Node> = nodes.iter().filter(votes).collect();
    let stored = voters.iter().filter(|node| node.disk.has_stored(last)).count();
    if stored * 2 > voters.len() {
        return Ok(());
    }
    let known =
        |node: &&&Node| node.log.covers(last.index) || node.log.get(last.index) == Some(last);
    let on_quorum = voters.iter().filter(known).count() * 2 > voters.len();
    let property = if on_quorum { "durability" } else { "state-machine-safety" };
    Err(Violation::new(property, format!("{} commits {} too early", nodes[at].address, last.index)))
}

/// What an acknowledgement says is on disk.
fn durability(node: &Node, request: &Request) -> Result<(), Violation> {
    let append = match request {
        Request::AppendEntries(append) => append,
        Request::InstallSnapshot(install) if !node.disk.reaches(install.snapshot.index) => {
            let detail = format!("{} acknowledges a snapshot before it is on disk", node.address);
            return Err(Violation::new("durability", detail));
        }
        _ => return Ok(()),
    };
    // A later leader may have replaced the tail meanwhile; that is in a later batch.
    let covered = node.disk.snapshot.as_ref().map_or(LogIndex(0), |(meta, _)| meta.index);
    let lost =
        append.entries.iter().filter(|entry| entry.index > covered).find(|entry| {
            node.disk.log.get(entry.index).is_none_or(|stored| stored.term < entry.term)
        });
    match lost {
        Some(entry) => Err(Violation::new(
            "durability",
            format!("{} acknowledges {} before it is on disk", node.address, entry.index),
        )),
        None => Ok(()),
    }
}
