//! The vocabulary: every word of the language, and whether this version builds it.
//!
//! A word that is in the language but not built is not a spelling mistake, and is reported as what
//! it is. Each list is in the order of the language reference.

/// A list of words of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// What they are, for messages: "key", "verb".
    pub kind: &'static str,
    /// Those that work.
    pub built: &'static [&'static str],
    /// Those that are in the language only.
    pub planned: &'static [&'static str],
}

impl Words {
    /// Whether the word works.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.built.contains(&word)
    }

    /// Whether the word is in the language only.
    #[must_use]
    pub fn plans(&self, word: &str) -> bool {
        self.planned.contains(&word)
    }

    /// All of them, for suggestions.
    pub fn all<'a>(self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.built.iter().chain(self.planned).map(|word| -> &'a str { word })
    }
}

const fn words(
    kind: &'static str,
    built: &'static [&'static str],
    planned: &'static [&'static str],
) -> Words {
    Words { kind, built, planned }
}

/// Top level.
pub const TOP: Words = words(
    "key",
    &[
        "title", "story", "source", "include", "cluster", "network", "disk", "clock", "time",
        "workload", "step", "chaos", "expect",
    ],
    &[],
);
/// `[cluster]`.
pub const CLUSTER: Words = words(
    "key",
    &["servers", "clients", "boot", "profile", "config", "node", "protect"],
    &["datacenters"],
);
/// `protect`.
pub const PROTECT: Words = words("key", &["max_dead_servers"], &[]);
/// `boot`.
pub const BOOT: Words = words("way to boot", &["joined", "manual"], &[]);
/// `profile`.
pub const PROFILE: Words = words("profile", &["modern", "legacy"], &[]);
/// `[network]`.
pub const NETWORK: Words = words(
    "key",
    &["latency", "loss", "duplicate", "reorder", "corrupt", "bandwidth", "link", "wan"],
    &[],
);
/// A link of `[network]`, and its `wan`.
pub const NETWORK_LINK: Words =
    words("key", &["latency", "loss", "duplicate", "reorder", "corrupt", "bandwidth"], &[]);
/// `[disk]`.
pub const DISK_TABLE: Words = words("key", &["fsync", "read", "write", "capacity"], &[]);
/// `[clock]`.
pub const CLOCK: Words = words("key", &["skew", "drift"], &[]);
/// `[time]`.
pub const TIME: Words = words("key", &["run", "settle", "boot_within"], &[]);

/// `kind` of `[[workload]]`.
pub const WORKLOAD_KINDS: Words = words(
    "kind of workload",
    &["kv", "lock", "session", "catalog", "health", "watch", "event", "txn", "dns"],
    &[],
);
/// Keys of an `event` workload.
pub const EVENT: Words =
    words("key", &["kind", "users", "rate", "between", "via", "timeout", "size"], &[]);
/// Keys of a `lock` workload.
pub const LOCK: Words = words(
    "key",
    &["kind", "users", "rate", "between", "via", "timeout", "keys", "hold", "ttl"],
    &[],
);
/// Keys of a `session` workload.
pub const SESSION: Words =
    words("key", &["kind", "users", "rate", "between", "via", "timeout", "ttl", "behavior"], &[]);
/// Keys of a `catalog` workload.
pub const CATALOG: Words = words(
    "key",
    &["kind", "users", "rate", "between", "via", "timeout", "services", "instances"],
    &[],
);
/// Keys of a `health` workload.
pub const HEALTH: Words =
    words("key", &["kind", "users", "rate", "between", "via", "timeout", "services", "flap"], &[]);
/// Keys of a `watch` workload.
pub const WATCH: Words =
    words("key", &["kind", "users", "rate", "between", "via", "timeout", "on"], &[]);
/// Keys of a `txn` workload.
pub const TXN: Words =
    words("key", &["kind", "users", "rate", "between", "via", "timeout", "keys", "ops"], &[]);
/// Keys of a `dns` workload.
pub const DNS: Words =
    words("key", &["kind", "users", "rate", "between", "via", "timeout", "services", "types"], &[]);
/// `types` of a `dns` workload.
pub const LOOKED_UP: Words = words("type of record", &["A", "AAAA", "ANY", "SRV", "TXT"], &[]);
/// The type in a query of a `dns` step.
pub const RECORD_TYPES: Words = words(
    "type of record",
    &["A", "AAAA", "ANY", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"],
    &[],
);
/// `rcode` in the `expect` of a `dns` step.
pub const RCODES: Words = words(
    "response code",
    &["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"],
    &[],
);
/// `expect` of `dns`.
pub const DNS_EXPECT: Words = words("key", &["rcode", "answers", "contains", "excludes"], &[]);
/// `behavior` of a `session` workload.
pub const BEHAVIORS: Words = words("behavior", &["release", "delete"], &[]);
/// `on` of a `watch` workload.
pub const WATCHED: Words =
    words("thing to watch", &["kv", "service", "nodes", "checks", "event"], &[]);
/// Keys of a `kv` workload.
pub const KV: Words = words(
    "key",
    &["kind", "users", "rate", "between", "via", "timeout", "keys", "mix", "consistency", "value"],
    &[],
);
/// `mix`.
pub const KV_MIX: Words = words("operation", &["get", "put", "delete", "cas", "list"], &[]);
/// `consistency`.
pub const CONSISTENCY: Words = words("consistency mode", &["default", "consistent", "stale"], &[]);

/// Verbs.
pub const VERBS: Words = words(
    "verb",
    &[
        "start",
        "kill",
        "stop",
        "restart",
        "join",
        "leave",
        "force-leave",
        "wipe",
        "pause",
        "resume",
        "config",
        "transfer-leader",
        "partition",
        "heal",
        "slow",
        "lose",
        "duplicate",
        "reorder",
        "corrupt",
        "throttle",
        "clog",
        "reset",
        "refuse",
        "blackhole",
        "dns-fail",
        "readdress",
        "skew",
        "drift",
        "jump",
        "strobe",
        "lose-unsynced",
        "torn-write",
        "bit-rot",
        "misdirect",
        "io-error",
        "disk-full",
        "slow-fsync",
        "fsync-lies",
        "file",
        "http",
        "cli",
        "dns",
        "register",
        "deregister",
        "service-down",
        "service-up",
        "wait",
        "repeat",
        "parallel",
        "note",
    ],
    &["upgrade"],
);
/// Verbs that can be undone (⟲).
pub const UNDOABLE: &[&str] = &[
    "kill",
    "stop",
    "pause",
    "partition",
    "slow",
    "lose",
    "duplicate",
    "reorder",
    "corrupt",
    "throttle",
    "clog",
    "reset",
    "refuse",
    "blackhole",
    "dns-fail",
    "skew",
    "drift",
    "jump",
    "strobe",
    "io-error",
    "disk-full",
    "slow-fsync",
    "fsync-lies",
    "service-down",
];
/// Verbs that act on a node's clocks.
pub const CLOCK_VERBS: &[&str] = &["skew", "drift", "jump", "strobe"];
/// Verbs that have targets, so that `same-as` can name their steps.
pub const WITH_TARGET: &[&str] = &[
    "start",
    "kill",
    "stop",
    "restart",
    "join",
    "leave",
    "force-leave",
    "dns-fail",
    "readdress",
    "wipe",
    "pause",
    "resume",
    "config",
    "transfer-leader",
    "partition",
    "slow",
    "lose",
    "duplicate",
    "reorder",
    "corrupt",
    "throttle",
    "clog",
    "reset",
    "refuse",
    "blackhole",
    "skew",
    "drift",
    "jump",
    "strobe",
    "lose-unsynced",
    "torn-write",
    "bit-rot",
    "misdirect",
    "io-error",
    "disk-full",
    "slow-fsync",
    "fsync-lies",
    "file",
    "http",
    "cli",
    "dns",
    "register",
    "deregister",
    "service-down",
    "service-up",
];
/// Keys of every step.
pub const STEP_COMMON: &[&str] =
    &["id", "do", "at", "after", "when", "within", "every", "between", "times", "for", "optional"];

/// Further keys of a verb.
#[must_use]
pub fn verb_keys(verb: &str) -> &'static [&'static str] {
    match verb {
        "start" | "restart" => &["target", "args", "config"],
        "kill" => &["target", "disk"],
        "stop" => &["target", "signal"],
        "pause" | "resume" | "wipe" | "lose-unsynced" | "torn-write" | "fsync-lies" | "leave"
        | "dns-fail" | "readdress" => &["target"],
        "join" => &["target", "to", "wan"],
        "force-leave" => &["target", "via", "prune"],
        "register" | "deregister" | "service-down" | "service-up" => &["target", "service"],
        "repeat" => &["times", "step"],
        "parallel" => &["step"],
        "config" => &["target", "set"],
        "transfer-leader" => &["target", "to"],
        "skew" | "drift" | "jump" | "strobe" | "slow-fsync" => &["target", "by"],
        "bit-rot" | "misdirect" => &["target", "path", "count"],
        "io-error" => &["target", "op", "nth", "ratio"],
        "disk-full" => &["target", "after"],
        "lose" | "duplicate" | "reorder" | "corrupt" => &["target", "link", "proto", "ratio"],
        "slow" => &["target", "link", "proto", "by"],
        "throttle" => &["target", "link", "proto", "to"],
        "clog" | "reset" | "refuse" | "blackhole" => &["target", "link", "proto"],
        "file" => &["target", "path", "write", "delete", "truncate", "corrupt", "expect"],
        "cli" => &["via", "run", "expect"],
        "partition" => &["groups", "shape", "target", "period"],
        "heal" => &["of"],
        "http" => &["via", "request", "body", "expect"],
        "dns" => &["via", "query", "tcp", "expect"],
        "wait" => &["until", "while"],
        "note" => &["text"],
        _ => &[],
    }
}

/// `disk` of `kill`.
pub const DISK: Words = words("fate of unsynced data", &["synced", "all", "some"], &[]);
/// `signal` of `stop`.
pub const SIGNAL: Words = words("signal", &["TERM", "INT"], &[]);
/// `shape` of `partition`.
pub const SHAPES: Words =
    words("shape", &["isolate", "split", "bridge", "majorities-ring", "one-way", "flapping"], &[]);
/// HTTP methods.
pub const METHODS: Words =
    words("HTTP method", &["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"], &[]);
/// `expect` of `http`.
pub const HTTP_EXPECT: Words =
    words("key", &["status", "body", "contains", "excludes", "matches", "json", "header"], &[]);

/// Operations of a disk.
pub const DISK_OPS: Words = words("operation of a disk", &["read", "write", "fsync"], &[]);
/// `proto` of a fault of links.
pub const PROTO: Words = words("protocol", &["tcp", "udp"], &[]);
/// What a `file` step can do.
pub const FILE_ACTS: &[&str] = &["write", "delete", "truncate", "corrupt", "expect"];
/// `expect` of `file`.
pub const FILE_EXPECT: Words =
    words("key", &["content", "contains", "excludes", "json", "absent"], &[]);
/// `expect` of `cli`.
pub const CLI_EXPECT: Words = words("key", &["exit", "contains", "excludes", "matches"], &[]);

/// `[[chaos]]`.
pub const CHAOS: Words =
    words("key", &["between", "every", "faults", "for", "targets", "swarm"], &[]);
/// `faults` of `[[chaos]]`.
pub const FAULTS: Words = words(
    "kind of fault",
    &["partition", "kill", "stop", "pause", "restart", "clock", "disk", "packet"],
    &[],
);

/// Targets without an argument.
pub const TARGETS: Words = words(
    "target",
    &[
        "leader",
        "old-leader",
        "followers",
        "follower:any",
        "servers",
        "server:any",
        "clients",
        "client:any",
        "all",
        "any",
        "minority",
        "majority",
        "half",
        "last-killed",
        "rest",
        "users",
    ],
    &[],
);
/// Beginnings of targets with an argument.
pub const TARGET_PREFIXES: Words =
    words("target", &["random:", "same-as:", "holder:", "service:"], &["dc:"]);

/// `[[expect]]`: rules, of which there is one, and modifiers.
pub const EXPECT: Words = words("key", RULES, MODIFIERS);
/// Rules of `[[expect]]`.
pub const RULES: &[&str] = &[
    "always",
    "eventually",
    "never",
    "at_end",
    "seen",
    "sometimes",
    "in_order",
    "violates",
    "skip",
];
/// Modifiers of `[[expect]]`.
pub const MODIFIERS: &[&str] = &["within", "of", "between", "for", "because"];

/// States.
pub const STATES: Words = words(
    "condition",
    &[
        "one-leader",
        "no-leader",
        "leader",
        "up",
        "down",
        "alive",
        "failed",
        "left",
        "member",
        "voter",
        "writable",
        "members-converged",
        "logs-converged",
        "catalog-converged",
        "registered",
        "passing",
        "critical",
        "locked",
    ],
    &[],
);
/// Numbers.
pub const NUMBERS: Words = words(
    "number",
    &[
        "count",
        "leaders",
        "leaders-per-term",
        "voters",
        "members",
        "term",
        "ok-ratio",
        "unknown-ops",
        "longest-outage",
        "instances",
        "healthy",
    ],
    &[],
);
/// Events.
pub const EVENTS: Words = words(
    "event",
    &[
        "leader-elected",
        "leader-lost",
        "leader-change",
        "election-failed",
        "step-down",
        "member-joined",
        "member-failed",
        "member-left",
        "promoted",
        "snapshot-taken",
        "snapshot-installed",
        "log-truncated",
        "stale-read",
        "forwarded",
        "recovered-from-peers-json",
        "logged",
    ],
    &[],
);

/// Properties that are in the language but not judged yet.
pub const PLANNED_PROPERTIES: &[&str] = &[];
