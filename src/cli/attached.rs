//! Children of `watch` and `lock`: how they are named, and how they are waited for.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;

use crate::base::attached::{AttachedChild, ChildEnd, ChildSignal};
use crate::base::runtime::{Runtime, Signal};

/// Program and arguments: as they stand, or joined for the shell, which the environment may name.
pub(super) fn argv(words: &[String], shell: bool, env: &BTreeMap<String, String>) -> Vec<String> {
    if !shell {
        return words.to_vec();
    }
    let program = env.get("SHELL").filter(|it| !it.is_empty()).map_or("/bin/sh", String::as_str);
    vec![program.to_owned(), "-c".to_owned(), words.join(" ")]
}

/// Waits for a child's end.
pub(super) async fn ended(child: &mut dyn AttachedChild) -> io::Result<ChildEnd> {
    poll_fn(|cx| child.poll_ended(cx)).await
}

/// The next signal that asks this process to end, as it is passed on. A hangup counts: whoever held the
/// terminal is gone, and what is held should be let go.
pub(super) async fn told_to_end<R: Runtime>(runtime: &R) -> ChildSignal {
    match runtime.signal().await {
        Signal::Interrupt => ChildSignal::Interrupt,
        Signal::Terminate | Signal::Hangup => ChildSignal::Terminate,
    }
}
