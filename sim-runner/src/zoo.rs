//! The planted bugs: deliberate mistakes, each of which one property must catch.
//!
//! An oracle that never fired is unproven. Each plant is a branch in the agent, its storage, the
//! fabric or the runner behind `planted!`, off unless `--plant NAME` asks for it, and absent from what
//! ships. A plant counts as caught when *its own* property is violated; another one firing first does
//! not count.

/// One planted bug.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    /// What `--plant` takes.
    pub name: &'static str,
    /// The property that must catch it.
    pub property: &'static str,
    /// The scenario in which it does, from the root of the repository.
    pub scenario: &'static str,
    /// What the mistake is, and who made it for real.
    pub story: &'static str,
}

/// All planted bugs, in the order of the properties.
pub const PLANTS: &[Plant] = &[
    Plant {
        name: "status-names-nobody",
        property: "script",
        scenario: "scenarios/zoo/first_questions.toml",
        story: "a server that knows its leader answers that there is none",
    },
    Plant {
        name: "never-campaigns",
        property: "boot",
        scenario: "scenarios/zoo/first_questions.toml",
        story: "a server whose log is new waits for somebody else to stand for election",
    },
    Plant {
        name: "real-entropy",
        property: "determinism",
        scenario: "scenarios/zoo/first_questions.toml",
        story: "the network takes its latencies from the operating system's entropy",
    },
    Plant {
        name: "hash-order",
        property: "determinism",
        scenario: "scenarios/zoo/first_questions.toml",
        story: "users draw a server from a set that every process orders anew",
    },
    Plant {
        name: "panic-on-truncate",
        property: "no-panic",
        scenario: "scenarios/zoo/elections.toml",
        story: "a follower asserts that its log only grows, and a new leader's log differs",
    },
    Plant {
        name: "cas-ignores-index",
        property: "linearizable",
        scenario: "scenarios/zoo/first_questions.toml",
        story: "check-and-set writes whatever the index is that it was given",
    },
    Plant {
        name: "verify-counts-old-heartbeats",
        property: "linearizable",
        scenario: "scenarios/zoo/frozen_leaders.toml",
        story: "a leader serves consistent reads on the strength of heartbeats answered long ago",
    },
    Plant {
        name: "stale-default-read",
        property: "linearizable",
        scenario: "scenarios/zoo/partitions.toml",
        story: "a follower answers default reads from its own state instead of asking the leader",
    },
    Plant {
        name: "forward-retries-write",
        property: "linearizable",
        scenario: "scenarios/zoo/broken_forwards.toml",
        story: "a forwarded write whose connection broke is sent again, though it may have been \
                applied",
    },
    Plant {
        name: "lease-not-checked",
        property: "linearizable",
        scenario: "scenarios/zoo/leases.toml",
        story: "a leader reads without asking while it believes that it leads, and never looks \
                whether it has heard from a quorum (sofastack/sofa-jraft#25)",
    },
    Plant {
        name: "read-before-own-commit",
        property: "linearizable",
        scenario: "scenarios/zoo/frozen_leaders.toml",
        story: "a new leader confirms reads at a commit index that may be older than its \
                predecessor's (etcd-io/etcd#7331, Raft thesis 6.4)",
    },
    Plant {
        name: "double-vote",
        property: "election-safety",
        scenario: "scenarios/zoo/elections.toml",
        story: "a server forgets that it has voted in this term",
    },
    Plant {
        name: "append-skips-log-check",
        property: "log-matching",
        scenario: "scenarios/zoo/elections.toml",
        story: "a follower appends to a log that differs from the leader's before the new entries",
    },
    Plant {
        name: "election-ignores-log",
        property: "leader-completeness",
        scenario: "scenarios/zoo/elections.toml",
        story: "a server votes for a candidate whose log is behind its own",
    },
    Plant {
        name: "abstainer-votes",
        property: "leader-completeness",
        scenario: "scenarios/zoo/damage.toml",
        story: "a server that lost acknowledged entries to damage votes as if it never had them \
                (Alagappan et al., Protocol-Aware Recovery, FAST 2018, of all that truncate at damage)",
    },
    Plant {
        name: "change-without-own-commit",
        property: "leader-completeness",
        scenario: "scenarios/zoo/members.toml",
        story: "a leader changes the set of servers before it has committed an entry of its term \
                (Ongaro, 'bug in single-server membership changes', raft-dev 2015; \
                atomix/copycat#23)",
    },
    Plant {
        name: "apply-before-commit",
        property: "state-machine-safety",
        scenario: "scenarios/zoo/power_cuts.toml",
        story: "a leader applies what only its own log holds",
    },
    Plant {
        name: "match-is-log-end",
        property: "state-machine-safety",
        scenario: "scenarios/zoo/partitions.toml",
        story: "a leader takes its log's end at the answer for what the follower has, not what \
                it had sent (Gjengset, Students' Guide to Raft 2016; a kin is \
                ravendb/ravendb#9330)",
    },
    Plant {
        name: "snapshot-ahead-of-state",
        property: "state-machine-safety",
        scenario: "scenarios/zoo/snapshots.toml",
        story: "a snapshot is written down with an index that its state has not reached (etcd \
                v3.5 data inconsistency postmortem, etcd-io/etcd#13967)",
    },
    Plant {
        name: "commit-goes-back",
        property: "commit-monotonic",
        scenario: "scenarios/zoo/elections.toml",
        story: "a follower takes over the lower commit index of a leader that is new",
    },
    Plant {
        name: "commit-older-term",
        property: "commit-monotonic",
        scenario: "scenarios/zoo/elections.toml",
        story: "a leader counts replicas of entries of earlier terms, as in figure 8 of the Raft \
                paper",
    },
    Plant {
        name: "install-older-snapshot",
        property: "commit-monotonic",
        scenario: "scenarios/zoo/snapshots.toml",
        story: "a follower installs a snapshot that ends before what it has applied since it was \
                sent (eBay/NuRaft#407)",
    },
    Plant {
        name: "vote-not-persisted",
        property: "vote-durability",
        scenario: "scenarios/zoo/power_cuts.toml",
        story: "a server votes without writing down for whom, and a power cut makes it forget",
    },
    Plant {
        name: "hard-state-not-written",
        property: "vote-durability",
        scenario: "scenarios/zoo/power_cuts.toml",
        story: "term and vote stay in memory",
    },
    Plant {
        name: "storage-skips-sync",
        property: "durability",
        scenario: "scenarios/zoo/power_cuts.toml",
        story: "the log is written but never synced",
    },
    Plant {
        name: "storage-drops-tail-record",
        property: "durability",
        scenario: "scenarios/zoo/power_cuts.toml",
        story: "recovery takes the last record for a torn one, though it is whole",
    },
    Plant {
        name: "ack-before-durable",
        property: "durability",
        scenario: "scenarios/zoo/power_cuts.toml",
        story: "entries are acknowledged when they are in memory, before they are on disk",
    },
    Plant {
        name: "ack-before-commit",
        property: "durability",
        scenario: "scenarios/zoo/partitions.toml",
        story: "a leader acknowledges a write when it has appended it, before a majority has",
    },
    Plant {
        name: "sync-error-ignored",
        property: "durability",
        scenario: "scenarios/zoo/disks.toml",
        story: "a sync that failed is tried again, and its success is believed (PostgreSQL's \
                'fsyncgate', 2018)",
    },
    Plant {
        name: "lone-leader-acks-unsynced",
        property: "durability",
        scenario: "scenarios/zoo/alone.toml",
        story: "a leader without followers commits what its own disk does not have yet (\
                etcd-io/etcd#14370)",
    },
    Plant {
        name: "folder-not-synced",
        property: "durability",
        scenario: "scenarios/zoo/power_cuts.toml",
        story: "a log file is synced and the folder with its name is not (etcd-io/etcd#6368)",
    },
    Plant {
        name: "recovery-skips-checksum",
        property: "storage-recovery",
        scenario: "scenarios/zoo/disks.toml",
        story: "a write that a power cut tore is replayed as it lies there, for entries have no \
                checksum or nobody looks at it (atomix/copycat#317, cockroachdb/cockroach#93519)",
    },
    Plant {
        name: "vote-in-two-writes",
        property: "storage-recovery",
        scenario: "scenarios/zoo/disks.toml",
        story: "the term of a vote is written first and its candidate second \
                (hashicorp/raft#661, persistVote)",
    },
    Plant {
        name: "stuck-follower",
        property: "liveness",
        scenario: "scenarios/zoo/partitions.toml",
        story: "a deposed leader never stands for election nor votes again",
    },
    Plant {
        name: "snapshot-progress-stuck",
        property: "liveness",
        scenario: "scenarios/zoo/snapshots.toml",
        story: "a leader whose snapshot did not arrive waits for its end for ever (\
                etcd-io/etcd#10225, dgraph-io/dgraph#2707)",
    },
    Plant {
        name: "snapshot-loses-configuration",
        property: "liveness",
        scenario: "scenarios/zoo/snapshots.toml",
        story: "a snapshot is kept without the set of servers, and who starts from it knows \
                nobody (etcd-io/etcd#2267)",
    },
    Plant {
        name: "install-keeps-conflicting-tail",
        property: "liveness",
        scenario: "scenarios/zoo/long_tail.toml",
        story: "a follower keeps a log that contradicts the snapshot it installs, and is sent it \
                again and again (hashicorp/raft#704, scylladb/scylladb#9551)",
    },
    Plant {
        name: "suspicion-never-ends",
        property: "gossip-completeness",
        scenario: "scenarios/zoo/gossip.toml",
        story: "a member that is suspected stays so for ever, and its death is never told \
                (caio/foca#29)",
    },
    Plant {
        name: "dead-stays-dead",
        property: "gossip-accuracy",
        scenario: "scenarios/zoo/gossip_pause.toml",
        story: "a member that was declared dead stays so though it is back (what nodes in \
                hashicorp/memberlist#311 were stuck in)",
    },
    Plant {
        name: "suspicion-outlives-refutation",
        property: "gossip-accuracy",
        scenario: "scenarios/zoo/gossip.toml",
        story: "the timer of a suspicion runs on though the member has contradicted it, and at its end \
                the new incarnation is declared dead (daos-stack/daos#18635)",
    },
    Plant {
        name: "nobody-reconnects",
        property: "gossip-accuracy",
        scenario: "scenarios/zoo/gossip_halves.toml",
        story: "nobody speaks first to one that it takes for failed, and two halves of a cluster never \
                meet again (caio/foca#15, apache/incubator-retired-gossip#9)",
    },
    Plant {
        name: "older-alive-believed",
        property: "incarnation-monotonic",
        scenario: "scenarios/zoo/gossip.toml",
        story: "word that a member lives is believed though its incarnation is older \
                (al8n/memberlist#157)",
    },
    Plant {
        name: "old-suspicion-believed",
        property: "incarnation-monotonic",
        scenario: "scenarios/zoo/gossip.toml",
        story: "a suspicion is believed though the member has contradicted it since (overrides that \
                are not those of SWIM, habitat-sh/habitat#5571)",
    },
    Plant {
        name: "refutes-by-one",
        property: "incarnation-monotonic",
        scenario: "scenarios/zoo/gossip.toml",
        story: "a member that has started anew contradicts with its own next incarnation, not with \
                one above that of the accusation (habitat-sh/habitat#5581)",
    },
    Plant {
        name: "dead-revived-by-old-word",
        property: "no-stale-resurrection",
        scenario: "scenarios/zoo/gossip.toml",
        story: "a dead member lives again by word of the incarnation at which it died \
                (al8n/memberlist#197)",
    },
    Plant {
        name: "left-revived-by-lagging-peer",
        property: "no-stale-resurrection",
        scenario: "scenarios/zoo/gossip_lag.toml",
        story: "a member that has left is back by word of one that has not heard of it yet \
                (akkadotnet/akka.net#8467, akka/akka-core#1731)",
    },
    Plant {
        name: "forgotten-are-revived",
        property: "no-stale-resurrection",
        scenario: "scenarios/zoo/gossip.toml",
        story: "a member that was forgotten is taken for new and alive when somebody who has not \
                forgotten it yet tells that it is dead (atomix/atomix#962)",
    },
    Plant {
        name: "leave-of-failed-ignored",
        property: "views-converge",
        scenario: "scenarios/zoo/gossip.toml",
        story: "a member that leaves stays listed as failed by those who thought so before they heard \
                of it (hashicorp/consul#3706, of its second cause)",
    },
    Plant {
        name: "left-stays-left",
        property: "views-converge",
        scenario: "scenarios/zoo/gossip_pause.toml",
        story: "a member that left and came back is listed as left by others, and as alive by \
                itself (akin to hashicorp/consul#3706)",
    },
    Plant {
        name: "event-kept-twice",
        property: "user-events",
        scenario: "scenarios/fast/user_events.toml",
        story: "an agent adds each user event that it hears twice to those that it lists",
    },
    Plant {
        name: "renamed-node-stays",
        property: "catalog-unique",
        scenario: "scenarios/zoo/catalog.toml",
        story: "a node that comes with a known UUID under another name is written beside \
                the old one, which keeps the UUID (review found a kin of it in the change that brought \
                renaming, hashicorp/consul#3983)",
    },
    Plant {
        name: "lost-services-count-as-synced",
        property: "catalog-matches-agents",
        scenario: "scenarios/zoo/catalog.toml",
        story: "a full sync takes what the catalog has lost for synced, so that a service \
                removed from the catalog never comes back (hashicorp/consul#839)",
    },
    Plant {
        name: "strangers-stay",
        property: "catalog-matches-agents",
        scenario: "scenarios/zoo/catalog.toml",
        story: "a full sync leaves what the agent does not know in the catalog, where it passes \
                for healthy (as where the agent was not allowed to remove it, \
                hashicorp/consul#5209)",
    },
    Plant {
        name: "definitions-stay-on-disk",
        property: "no-resurrection",
        scenario: "scenarios/zoo/catalog.toml",
        story: "the file of a deregistered service stays, and a restart brings the service \
                back (of a check: hashicorp/consul#5456)",
    },
    Plant {
        name: "failed-members-pass",
        property: "serf-health",
        scenario: "scenarios/zoo/catalog.toml",
        story: "the leader does not mark a failed member, so that dead nodes are handed \
                out as healthy (the passing node without a route to it in hashicorp/consul#371)",
    },
    Plant {
        name: "left-members-stay",
        property: "serf-health",
        scenario: "scenarios/zoo/catalog.toml",
        story: "the leader does not deregister who has left (of those who were forgotten while \
                nobody led: hashicorp/consul#15)",
    },
    Plant {
        name: "checks-outlive-their-service",
        property: "no-orphan-checks",
        scenario: "scenarios/zoo/catalog.toml",
        story: "a service is removed without its checks (hashicorp/consul#913, hashicorp/consul#3297)",
    },
    Plant {
        name: "lock-given-though-held",
        property: "lock-exclusion",
        scenario: "scenarios/zoo/locks.toml",
        story: "a lock is given to whoever asks, whoever holds it (as in \
                hazelcast/hazelcast#168)",
    },
    Plant {
        name: "lock-delay-forgotten",
        property: "lock-exclusion",
        scenario: "scenarios/zoo/locks.toml",
        story: "a lock is given at once when its holder has ended, who may still act on it (\
                etcd-io/etcd#10811, whose locks have no such delay)",
    },
    Plant {
        name: "session-expires-early",
        property: "session-lifetime",
        scenario: "scenarios/zoo/locks.toml",
        story: "a session's time counts from half its TTL (keys that were kept alive and expired \
                before their time: etcd-io/etcd#2508)",
    },
    Plant {
        name: "absence-forgets-its-index",
        property: "index-monotonic",
        scenario: "scenarios/zoo/watches.toml",
        story: "a key that is gone answers with the index of nothing, so the index goes \
                back (hashicorp/consul#577, which brought tombstones)",
    },
    Plant {
        name: "prefix-watchers-sleep",
        property: "watch-complete",
        scenario: "scenarios/zoo/watches.toml",
        story: "a change of a key wakes who waits for it, and not who waits for a prefix \
                of it (of deletes: hashicorp/consul#195)",
    },
    Plant {
        name: "node-check-goes-unseen",
        property: "watch-complete",
        scenario: "scenarios/zoo/service_watches.toml",
        story: "a check of a node is removed and the indexes of the services on it stay, so that who \
                waits for one of them sleeps on (hashicorp/consul#3970)",
    },
    Plant {
        name: "dns-serves-critical",
        property: "dns-sound",
        scenario: "scenarios/zoo/dns.toml",
        story: "instances are listed whatever their checks say (kgateway-dev/kgateway#2826, \
                micro/go-micro#205)",
    },
    Plant {
        name: "dns-keeps-for-ever",
        property: "dns-sound",
        scenario: "scenarios/zoo/dns.toml",
        story: "an answer that was kept is given again and again (hashicorp/consul#8980, \
                envoyproxy/envoy#46402)",
    },
    Plant {
        name: "dns-ignores-tag",
        property: "dns-sound",
        scenario: "scenarios/zoo/dns.toml",
        story: "the tag in front of a service's name is not looked at (hashicorp/consul#21336)",
    },
    Plant {
        name: "dns-answers-with-node",
        property: "dns-sound",
        scenario: "scenarios/zoo/dns.toml",
        story: "an instance with an address of its own is said to be where its node is \
                (hashicorp/consul#832, hashicorp/consul#21325)",
    },
    Plant {
        name: "dns-cuts-silently",
        property: "dns-sound",
        scenario: "scenarios/zoo/dns.toml",
        story: "an answer is cut short and does not say so, though the agent is configured to \
                (hashicorp/consul#788)",
    },
    Plant {
        name: "txn-keeps-what-succeeded",
        property: "transactions",
        scenario: "scenarios/zoo/transactions.toml",
        story: "a transaction that fails keeps what its first operations wrote \
                (etcd-io/etcd#18679)",
    },
    Plant {
        name: "txn-ignores-versions",
        property: "transactions",
        scenario: "scenarios/zoo/transactions.toml",
        story: "a check-and-set inside a transaction writes whatever the version is (of \
                services: hashicorp/consul#5971)",
    },
];

/// The plant of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Plant> {
    PLANTS.iter().find(|plant| plant.name == name)
}
