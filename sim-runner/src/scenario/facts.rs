//! Conditions, numbers and events, as a plan has them (language section 7).
//!
//! A condition is a state of affairs and holds for some time; an event is an occurrence, which can be
//! counted, waited for and put in order, but does not last.

use super::model::Target;

/// `and`, `or`, `not`, and what they join.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Both.
    And(Box<Condition>, Box<Condition>),
    /// Either.
    Or(Box<Condition>, Box<Condition>),
    /// Negation, inside the view.
    Not(Box<Condition>),
    /// A state.
    State(State),
    /// A number compared.
    Compare(Number, Comparison, u64),
    /// `… at T`: as that node sees it.
    At(Box<Condition>, Target),
}

/// States that the built part knows.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the language, section 7")]
pub enum State {
    OneLeader,
    NoLeader,
    Leader(Target),
    Up(Target),
    Down(Target),
    Voter(Target),
    Writable,
    LogsConverged,
    Alive(Target),
    Failed(Target),
    Left(Target),
    Member(Target),
    MembersConverged,
    /// All servers have one catalog, and it says what the agents say.
    CatalogConverged,
    /// A service has an instance.
    Registered(String),
    /// It has, and all its instances pass.
    Passing(String),
    /// One of its instances is critical.
    Critical(String),
    Locked(String),
}

/// Numbers that the built part knows.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the language, section 7")]
pub enum Number {
    Count(EventPattern),
    Leaders,
    LeadersPerTerm,
    Voters,
    /// Members that are alive, in the LAN pool.
    Members,
    Term,
    OkRatio,
    UnknownOps,
    /// Seconds.
    LongestOutage,
    /// Of a service, in the catalog.
    Instances(String),
    /// Of those, the ones that pass.
    Healthy(String),
}

/// `< <= = != >= >`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

/// Events that the built part knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the language, section 7")]
pub enum EventPattern {
    LeaderElected,
    LeaderLost,
    LeaderChange,
    ElectionFailed,
    StepDown,
    SnapshotTaken,
    SnapshotInstalled,
    LogTruncated,
    StaleRead,
    Forwarded,
    RecoveredFromPeersJson,
    MemberJoined(Target),
    MemberFailed(Target),
    MemberLeft(Target),
    Promoted(Target),
    Logged(String),
    Mark(String),
}

/// A condition (a state of affairs) or an event (an occurrence).
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Fact {
    Condition(Condition),
    Event(EventPattern),
}
