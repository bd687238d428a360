//! Children on this process's own terminal. See [`crate::base::attached`].

use std::future::Future;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::base::attached::{AttachedChild, AttachedCommand, AttachedInput, ChildEnd, ChildSignal};

use super::child::not_started;

type Waiting = Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send>>;

/// A child with a process number that nobody else has before it is reaped.
struct Attached {
    id: u32,
    waiting: Waiting,
    ended: Option<ChildEnd>,
}

/// Starts one. Feeding it is part of waiting for it.
pub(super) fn start(command: AttachedCommand) -> io::Result<Box<dyn AttachedChild>> {
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a command without a program"));
    };
    let (stdin, bytes) = match command.stdin {
        AttachedInput::Nothing => (Stdio::null(), Vec::new()),
        AttachedInput::Own => (Stdio::inherit(), Vec::new()),
        AttachedInput::Bytes(bytes) => (Stdio::piped(), bytes),
    };
    let child = Command::new(program)
        .args(arguments)
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(stdin)
        .spawn()
        .map_err(|error| not_started(program, &error))?;
    // None only for a child that has been waited for.
    let id = child.id().ok_or(io::ErrorKind::NotFound)?;
    Ok(Box::new(Attached { id, waiting: Box::pin(feed_and_wait(child, bytes)), ended: None }))
}

async fn feed_and_wait(mut child: Child, bytes: Vec<u8>) -> io::Result<ExitStatus> {
    if let Some(mut pipe) = child.stdin.take() {
        let feed = async {
            // A child that does not read its input has every right to.
            let _unread = pipe.write_all(&bytes).await;
            drop(pipe);
            std::future::pending::<()>().await;
        };
        let mut feed = std::pin::pin!(feed);
        let mut wait = std::pin::pin!(child.wait());
        return std::future::poll_fn(|cx| {
            let _fed = feed.as_mut().poll(cx);
            wait.as_mut().poll(cx)
        })
        .await;
    }
    child.wait().await
}

impl AttachedChild for Attached {
    fn id(&self) -> u32 {
        self.id
    }

    fn signal(&self, signal: ChildSignal) -> io::Result<()> {
        let pid = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| self.ended.is_none()) else { return Ok(()) };
        let signal = match signal {
            ChildSignal::Interrupt => Signal::INT,
            ChildSignal::Terminate => Signal::TERM,
            ChildSignal::Kill => Signal::KILL,
        };
        kill_process(pid, signal).map_err(io::Error::from)
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ChildEnd>> {
        if let Some(ended) = self.ended {
            return Poll::Ready(Ok(ended));
        }
        self.waiting.as_mut().poll(cx).map_ok(|status| {
            let ended = match (status.code(), status.signal()) {
                (Some(code), _) => ChildEnd::Code(code),
                (None, signal) => ChildEnd::Signal(signal.unwrap_or(0)),
            };
            *self.ended.insert(ended)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::base::runtime::{Level, Runtime};
    use crate::runtime::TokioRuntime;

    fn run(script: &str, signal: Option<ChildSignal>) -> String {
        let command = AttachedCommand {
            argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![("WORD".to_owned(), "yes".to_owned())],
            stdin: AttachedInput::Bytes(b"line\n".to_vec()),
        };
        TokioRuntime::run(Level::Error, |runtime| async move {
            let mut child = runtime.start_attached(command).expect("a shell");
            if let Some(signal) = signal {
                child.signal(signal).expect("sent");
            }
            let ended = poll_fn(|cx| child.poll_ended(cx)).await.expect("it ends");
            child.signal(ChildSignal::Kill).expect("past hearing");
            ended.to_string()
        })
        .expect("an executor")
    }

    #[test]
    fn ends_are_told_in_gos_words() {
        assert_eq!(run("read it; test \"$it$WORD\" = lineyes", None), "exit status 0");
        assert_eq!(run("exit 3", None), "exit status 3");
        assert_eq!(run("exec sleep 600", Some(ChildSignal::Kill)), "signal: killed");
        assert_eq!(run("exec sleep 600", Some(ChildSignal::Terminate)), "signal: terminated");
    }

    #[test]
    fn what_does_not_start_is_named() {
        let command =
            AttachedCommand { argv: vec!["/no/such".to_owned()], ..AttachedCommand::default() };
        let failed = TokioRuntime::run(Level::Error, |runtime| async move {
            runtime.start_attached(command).map(|_| ())
        });
        let error = failed.expect("an executor").expect_err("no such program");
        assert_eq!(error.to_string(), "fork/exec /no/such: no such file or directory");
    }
}
