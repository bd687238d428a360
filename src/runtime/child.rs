//! Child processes: script checks and watch handlers.
//!
//! Standard output and standard error share one pipe, so their lines interleave as they were written.
//! Like Consul's circular buffer, only the last [`OUTPUT_LIMIT_BYTES`] of it are kept.

use std::future::{Future, poll_fn};
use std::io::{self, pipe};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::process::Stdio;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use crate::base::runtime::{ChildCommand, ChildExit};

/// How much of a child's output is kept (`CheckBufSize` of Consul 1.9.8).
pub const OUTPUT_LIMIT_BYTES: usize = 4 * 1024;

/// Runs a child to its end. Dropping the future kills it.
pub(super) async fn run(command: ChildCommand) -> io::Result<ChildExit> {
    let (mut child, output) = start(&command)?;
    let mut stdin = child.stdin.take();
    let feed = async {
        if let Some(pipe) = &mut stdin {
            // A child that does not read its input has every right to.
            let _unread = pipe.write_all(&command.stdin).await;
        }
        drop(stdin);
    };
    let output = both(feed, last_bytes(output)).await?;
    let status = child.wait().await?;
    Ok(ChildExit { code: status.code(), output })
}

/// Feeds and collects at once: a child may fill its output before it has read all input.
async fn both<T>(feed: impl Future<Output = ()>, collect: impl Future<Output = T>) -> T {
    let (mut feed, mut collect) = (pin!(feed), pin!(collect));
    let (mut fed, mut collected) = (false, None);
    poll_fn(move |cx| {
        fed = fed || feed.as_mut().poll(cx).is_ready();
        if collected.is_none()
            && let Poll::Ready(done) = collect.as_mut().poll(cx)
        {
            collected = Some(done);
        }
        collected.take_if(|_| fed).map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

fn start(command: &ChildCommand) -> io::Result<(Child, Receiver)> {
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a command without a program"));
    };
    let (output, stdout) = pipe()?;
    let stderr = stdout.try_clone()?;
    let child = Command::new(program)
        .args(arguments)
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    // The command, with our copies of the pipe's writing end, is gone by now: EOF comes when the
    // child and those it left the pipe to are done.
    Ok((child, Receiver::from_owned_fd(OwnedFd::from(output))?))
}

async fn last_bytes(mut from: Receiver) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut chunk = [0; OUTPUT_LIMIT_BYTES];
    loop {
        match from.read(&mut chunk).await? {
            0 => return Ok(kept),
            more => kept.extend_from_slice(&chunk[..more]),
        }
        let surplus = kept.len().saturating_sub(OUTPUT_LIMIT_BYTES);
        kept.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::runtime::{Level, Runtime};
    use crate::runtime::TokioRuntime;

    fn run_shell(script: &str, stdin: &str) -> ChildExit {
        let command = ChildCommand {
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![("GREETING".to_owned(), "hello".to_owned())],
            stdin: stdin.as_bytes().to_vec(),
        };
        TokioRuntime::run(Level::Error, |runtime| async move { runtime.run_child(command).await })
            .expect("an executor")
            .expect("a shell")
    }

    #[test]
    fn output_of_both_kinds_exit_code_input_and_environment_pass() {
        let exit = run_shell("echo $GREETING; cat >&2; echo end; exit 3", "from stdin\n");
        assert_eq!(String::from_utf8_lossy(&exit.output), "hello\nfrom stdin\nend\n");
        assert_eq!(exit.code, Some(3));
    }

    #[test]
    fn only_the_last_output_is_kept_and_a_signal_leaves_no_code() {
        let exit = run_shell("yes | head -c 100000; echo last; kill -9 $$", "");
        assert_eq!(exit.output.len(), OUTPUT_LIMIT_BYTES);
        assert!(exit.output.ends_with(b"last\n"));
        assert_eq!(exit.code, None);
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let command = ChildCommand {
            argv: vec!["/no/such/program".to_owned()],
            env: Vec::new(),
            stdin: Vec::new(),
        };
        let failed = TokioRuntime::run(Level::Error, |runtime| async move {
            runtime.run_child(command).await.map(|_| ())
        });
        let error = failed.expect("an executor").expect_err("there is no such program");
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
