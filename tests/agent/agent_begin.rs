//! What an agent begins with, under both profiles: the first set of servers, and its end.

use proconsul::agent::{Agent, AgentConfig, Event, Input, Output, Request};
use proconsul::base::{
    Duration, Faults, Instant, LogIndex, Prng, RequestId, ServerAddress, Term, WallTime,
};
use proconsul::raft::{self, Persist, Profile, RaftConfig, Restored, Server, Suffrage};
use proconsul::state::StateStore;

const NOW: Instant = Instant::ZERO;

/// A server whose id is not its address.
fn server(number: u8) -> Server {
    Server {
        suffrage: Suffrage::Voter,
        id: format!("id{number}").into(),
        address: format!("10.0.0.{number}:8300").into(),
    }
}

fn agent(profile: Profile, peers: Option<Vec<ServerAddress>>) -> Agent {
    let me = server(1);
    let config = AgentConfig {
        raft: RaftConfig::with_multiplier(me.id, me.address, 1).expect("valid"),
        node_name: "n1".to_owned(),
        datacenter: "dc1".to_owned(),
        profile,
        enable_single_node: false,
        rpc_hold_timeout: Duration::ZERO,
        members: None,
        coordinates: None,
        leave_drain: Duration::ZERO,
        session_ttl_min: Duration::from_secs(10),
        began: (Instant::ZERO, WallTime(0)),
        autopilot: Default::default(),
    };
    let restored = Restored { peers, ..Restored::default() };
    let (prng, state) = (Prng::new(1), StateStore::new());
    Agent::new(config, restored, state, &prng, Faults::none(), NOW, &mut Vec::new())
}

fn step(agent: &mut Agent, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    agent.step(NOW, input, &mut out);
    agent.check_invariants();
    out
}

fn batch(out: &[Output]) -> Option<&Persist> {
    out.iter().find_map(|output| match output {
        Output::Persist(persist, _) => Some(persist),
        _ => None,
    })
}

#[test]
fn a_modern_cluster_begins_with_an_entry_that_names_ids() {
    let mut agent = agent(Profile::Modern, None);
    assert!(!agent.raft().has_state());
    let out = step(&mut agent, Input::Bootstrap(vec![server(1), server(2)]));
    let written = batch(&out).expect("a batch");
    assert_eq!(written.hard_state.as_ref().map(|state| state.term), Some(Term(1)));
    assert_eq!(written.append.first().map(|entry| entry.index), Some(LogIndex(1)));
    assert!(written.peers.is_none() && agent.raft().has_state());
    assert_eq!(agent.raft().configuration().servers, [server(1), server(2)]);
    assert_eq!(agent.raft().num_peers(), 1);
    let out = step(&mut agent, Input::Bootstrap(vec![server(1)]));
    let refused = |output: &Output| {
        matches!(output, Output::Event(Event::Raft(raft::Event::BootstrapRefused(_))))
    };
    assert!(batch(&out).is_none() && out.iter().any(refused));
}

#[test]
fn a_legacy_cluster_begins_with_a_file_of_addresses_and_a_leave_empties_it() {
    let mut agent = agent(Profile::Legacy, Some(Vec::new()));
    let out = step(&mut agent, Input::Bootstrap(vec![server(1), server(2)]));
    let written = batch(&out).expect("a batch");
    let addresses = vec![server(1).address, server(2).address];
    assert_eq!(written.peers.as_ref(), Some(&addresses));
    assert!(written.append.is_empty() && written.hard_state.is_none());
    let out = step(&mut agent, Input::Ask(RequestId(1), Request::Leave));
    assert!(batch(&out).is_none(), "it waits for its removal, but not for ever");
    let mut out = Vec::new();
    agent.step(NOW + Duration::from_secs(6), Input::Wake, &mut out);
    assert!(out.iter().any(|output| matches!(output, Output::Exit)));
    let empties = |output: &Output| match output {
        Output::Persist(written, _) => written.peers == Some(Vec::new()),
        _ => false,
    };
    assert!(out.iter().any(empties));
    // What is on disk is for the next life.
    assert_eq!(agent.raft().num_peers(), 1);
}

#[test]
fn a_legacy_agent_finds_its_set_in_the_file() {
    let peers = vec![server(2).address, server(1).address];
    let agent = agent(Profile::Legacy, Some(peers));
    assert_eq!(agent.raft().num_peers(), 1);
    assert_eq!(agent.raft().configuration().servers.len(), 2);
}
