//! Golden transcripts of changes of the set of servers, of transfers of leadership, of pre-votes, and of
//! Consul 0.5.2's peer set (`golden/raft/legacy_*`). The script language is that of `raft_golden`, with:
//!
//! | command | what it does |
//! |---|---|
//! | `cluster … spares=1 prevote=1` | servers that no set names yet; with pre-votes |
//! | `cluster … legacy=1 [single=1]` | the peer set of 0.5.2; servers may campaign alone |
//! | `change n1 AddVoter n4 [prev=1] [address=n9]` | asks n1 for a change |
//! | `transfer n1 [n2]` | asks n1 to hand over |
//! | `timeout-now n2` | tells n2 to stand |
//! | `prevote n2 term=3 candidate=n1 last=2@2` | a hand-made request |
//! | `cluster … bare=1` | nobody has anything on disk |
//! | `bootstrap n1 n1 n2 [twice=1]` | gives n1 the first set of a new cluster, with its first server twice |
//! | `set-peers n1 [n1 n2]` | the agent's SetPeers; without names: for good |
//! | `peers n1`, `edit n1 [n1 n2]` | shows and writes `peers.json` on disk |
//! | `exempt`, `broken` | lets the judge go on where 0.5.2 breaks a property; shows which it broke |
//! | `configuration n1` | shows what is in force |

use goldenscript::ArgumentConsumer;
use proconsul::base::{LogIndex, ReplyToken, ServerAddress, Term};
use proconsul::raft::describe::describe_configuration;
use proconsul::raft::{
    ChangeCommand, Configuration, Input, Request, RequestPreVote, Server, Suffrage,
};

use crate::raft_changes::NOT_KEPT;
use crate::raft_cluster::Cluster;
use crate::raft_golden::{Outcome, Script, broken, node, number, optional_node, position};
use crate::raft_shape::{Discipline, Shape};

/// What of a cluster's shape belongs here.
pub fn take_shape(shape: &mut Shape, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
    shape.spares = number(args, "spares", 0)? as usize;
    shape.bare = number(args, "bare", 0)? == 1;
    shape.pre_vote = number(args, "prevote", 0)? == 1;
    let enable_single_node = number(args, "single", 0)? == 1;
    if number(args, "legacy", 0)? == 1 {
        shape.discipline = Discipline::Legacy { enable_single_node };
    }
    Ok(())
}

pub fn run_command(
    cluster: &mut Cluster,
    name: &str,
    args: &mut ArgumentConsumer<'_>,
) -> Outcome<Vec<String>> {
    match name {
        "change" => {
            let at = node(cluster, args)?;
            let command = command(args.next_pos().ok_or("which change?")?)?;
            let who = args.next_pos().ok_or("of whom?")?.to_owned();
            let address = args.take_key("address").unwrap_or(&who).to_owned();
            let prev = LogIndex(number(args, "prev", 0)?);
            cluster.change(at, command, &who, &address, prev).map_err(broken)?;
        }
        "transfer" => {
            let at = node(cluster, args)?;
            let to = args.next_pos().map(str::to_owned);
            cluster.transfer(at, to.as_deref()).map_err(broken)?;
        }
        "timeout-now" => {
            let at = node(cluster, args)?;
            ask(cluster, at, Request::TimeoutNow)?;
        }
        "prevote" => {
            let at = node(cluster, args)?;
            let last = args.take_key("last").ok_or("last?")?;
            let (last_log_index, last_log_term) = position(last)?;
            let request = RequestPreVote {
                term: Term(number(args, "term", 0)?),
                candidate: args.take_key("candidate").ok_or("candidate?")?.into(),
                last_log_index,
                last_log_term,
            };
            ask(cluster, at, Request::RequestPreVote(request))?;
        }
        "bootstrap" => {
            let at = node(cluster, args)?;
            let twice = number(args, "twice", 0)? == 1;
            let mut servers: Vec<Server> = peers(cluster, args)?.into_iter().map(voter).collect();
            servers.extend(servers.first().cloned().filter(|_| twice));
            let set = Configuration { servers };
            cluster.step(at, Input::Bootstrap(set)).map_err(broken)?;
        }
        "set-peers" => {
            let at = node(cluster, args)?;
            let peers = peers(cluster, args)?;
            cluster.step(at, Input::SetPeers(peers)).map_err(broken)?;
        }
        "edit" => {
            let at = node(cluster, args)?;
            cluster.nodes[at].disk.peers = Some(peers(cluster, args)?);
        }
        "peers" => {
            let node = &cluster.nodes[node(cluster, args)?];
            let shown = match node.disk.peers.as_deref() {
                None => "no file".to_owned(),
                Some([]) => "null".to_owned(),
                Some(peers) => format!("{peers:?}"),
            };
            return Ok(vec![format!("{}: {shown}", node.address)]);
        }
        "exempt" => cluster.judge.exempt.extend(NOT_KEPT),
        "broken" => {
            return Ok(cluster.judge.exempted.keys().map(|name| (*name).to_owned()).collect());
        }
        "configuration" => {
            let node = &cluster.nodes[node(cluster, args)?];
            let raft = node.raft.as_ref().ok_or("it is down")?;
            let shown = describe_configuration(raft.configuration());
            return Ok(vec![format!("{}: {} {shown}", node.address, raft.configuration_index())]);
        }
        _ => return Err(format!("no command {name}").into()),
    }
    Ok(Vec::new())
}

fn ask(cluster: &mut Cluster, at: usize, request: Request) -> Outcome<()> {
    let token = ReplyToken(u64::MAX);
    cluster.step(at, Input::Request { token, request }).map_err(broken)
}

fn peers(cluster: &Cluster, args: &mut ArgumentConsumer<'_>) -> Outcome<Vec<ServerAddress>> {
    let mut peers = Vec::new();
    while let Some(at) = optional_node(cluster, args)? {
        peers.push(cluster.nodes[at].address.clone());
    }
    Ok(peers)
}

fn voter(address: ServerAddress) -> Server {
    Server { suffrage: Suffrage::Voter, id: address.as_str().into(), address }
}

fn command(name: &str) -> Outcome<ChangeCommand> {
    Ok(match name {
        "AddVoter" => ChangeCommand::AddVoter,
        "AddNonvoter" => ChangeCommand::AddNonvoter,
        "DemoteVoter" => ChangeCommand::DemoteVoter,
        "RemoveServer" => ChangeCommand::RemoveServer,
        "Promote" => ChangeCommand::Promote,
        _ => return Err(format!("no change {name}").into()),
    })
}

macro_rules! stories {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"), "/tests/agent/golden/raft/", stringify!($name), ".txt"
            );
            goldenscript::run(&mut Script::default(), path).expect("a readable script");
        }
    )*};
}

stories! {
    bootstrap,
    bootstrap_refused,
    change_add,
    change_needed_without_vote,
    change_promoted_is_needed,
    change_queue,
    change_refusals,
    change_remove_follower,
    change_remove_leader,
    change_shrinking_quorum,
    change_stranger_is_needed,
    change_truncated,
    legacy_bootstrap,
    legacy_counting,
    legacy_leader_leaves,
    legacy_leader_removes_itself_alone,
    legacy_side_by_side,
    legacy_single_node,
    legacy_truncation,
    legacy_two_leaders,
    legacy_vote_rules,
    pre_vote,
    pre_vote_rules,
    transfer,
    transfer_refusals,
    transfer_timeout,
}
