//! A child process on this process's own terminal: what `watch` and `lock` start (spec api 5.12, 5.21).
//!
//! Unlike the children of [`Runtime::run_child`](crate::base::runtime::Runtime::run_child) it writes where
//! its parent writes, may read what its parent reads, stays in its parent's process group, and is not
//! killed when nobody waits for it any more: whoever runs it has its own terms for that.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct AttachedCommand {
    /// Program and arguments; no shell looks at them.
    pub argv: Vec<String>,
    /// Variables added to the environment.
    pub env: Vec<(String, String)>,
    /// What it reads.
    pub stdin: AttachedInput,
}

/// A child's standard input.
#[derive(Clone, Debug, Default)]
pub enum AttachedInput {
    /// Nothing: it is at its end.
    #[default]
    Nothing,
    /// This process's own.
    Own,
    /// These bytes, then its end.
    Bytes(Vec<u8>),
}

/// A signal that a child is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildSignal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEnd {
    /// With this exit code.
    Code(i32),
    /// By a signal of this number.
    Signal(i32),
}

impl ChildEnd {
    /// Whether it did what it was to do.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == ChildEnd::Code(0)
    }
}

/// In Go's words.
impl fmt::Display for ChildEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            ChildEnd::Code(code) => return write!(f, "exit status {code}"),
            ChildEnd::Signal(1) => "hangup",
            ChildEnd::Signal(2) => "interrupt",
            ChildEnd::Signal(3) => "quit",
            ChildEnd::Signal(6) => "aborted",
            ChildEnd::Signal(9) => "killed",
            ChildEnd::Signal(11) => "segmentation fault",
            ChildEnd::Signal(13) => "broken pipe",
            ChildEnd::Signal(15) => "terminated",
            ChildEnd::Signal(number) => return write!(f, "signal: signal {number}"),
        };
        write!(f, "signal: {name}")
    }
}

/// A child that runs. Dropping it leaves it running.
pub trait AttachedChild: Send {
    /// Its process number.
    fn id(&self) -> u32;
    /// Sends it a signal. One that has ended is past hearing it, which is no error.
    ///
    /// # Errors
    /// The system's.
    fn signal(&self, signal: ChildSignal) -> io::Result<()>;
    /// Ready once it has ended, and from then on.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ChildEnd>>;
}

/// Starts a child where there is no terminal: nothing does.
///
/// # Errors
/// `Unsupported`, always.
pub fn unattached() -> io::Result<Box<dyn AttachedChild>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no terminal for a child"))
}
