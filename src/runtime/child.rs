//! Child processes: script checks and watch handlers.
//!
//! Standard output and standard error share one pipe, so their lines interleave as they were written.
//! Like Consul's circular buffer, only the last [`OUTPUT_LIMIT_BYTES`] of it are kept, or as many as the
//! command says. A child leads a process group of its own, so that what it has started ends with it
//! when its time is over.

use std::future::{Future, poll_fn};
use std::io::{self, pipe};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::process::Stdio;
use std::task::Poll;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::base::runtime::{ChildCommand, ChildExit};

/// How much of a child's output is kept (`CheckBufSize` of Consul 1.9.8).
pub const OUTPUT_LIMIT_BYTES: usize = 4 * 1024;

/// A child and the process group that it leads: all of them are killed when it is dropped unreaped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // While the child is not reaped nobody else can have its number, nor its group's.
        let number = self.0.id().and_then(|it| i32::try_from(it).ok());
        if let Some(group) = number.and_then(Pid::from_raw) {
            // They may all have ended by themselves.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The end of an output, and how long it was.
struct Kept {
    limit: usize,
    bytes: Vec<u8>,
    written: u64,
}

/// Runs a child to its end, or to that of its time. Dropping the future kills it.
pub(super) async fn run(command: ChildCommand) -> io::Result<ChildExit> {
    let (child, output) = start(&command)?;
    let mut group = Group(child);
    let limit = command.output_limit.unwrap_or(OUTPUT_LIMIT_BYTES);
    let mut kept = Kept { limit, bytes: Vec::new(), written: 0 };
    let mut stdin = group.0.stdin.take();
    let whole = async {
        let feed = async {
            if let Some(pipe) = &mut stdin {
                // A child that does not read its input has every right to.
                let _unread = pipe.write_all(&command.stdin).await;
            }
            drop(stdin);
        };
        both(feed, kept.collect(output)).await?;
        group.0.wait().await
    };
    let ended = match command.timeout {
        Some(patience) => timeout(patience, whole).await.ok().transpose()?,
        None => Some(whole.await?),
    };
    drop(group);
    let Kept { bytes, written, .. } = kept;
    let code = ended.and_then(|status| status.code());
    Ok(ChildExit { code, output: bytes, written, timed_out: ended.is_none() })
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
        .process_group(0)
        .spawn()
        .map_err(|error| not_started(program, &error))?;
    // The command, with our copies of the pipe's writing end, is gone by now: EOF comes when the
    // child and those it left the pipe to are done.
    Ok((child, Receiver::from_owned_fd(OwnedFd::from(output))?))
}

/// Why a program does not start, in Go's words.
pub(super) fn not_started(program: &str, error: &io::Error) -> io::Error {
    let why = match error.kind() {
        io::ErrorKind::NotFound if !program.contains('/') => {
            return io::Error::new(
                io::ErrorKind::NotFound,
                format!("exec: \"{program}\": executable file not found in $PATH"),
            );
        }
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("fork/exec {program}: {why}"))
}

impl Kept {
    async fn collect(&mut self, mut from: Receiver) -> io::Result<()> {
        let mut chunk = [0; OUTPUT_LIMIT_BYTES];
        loop {
            let more = from.read(&mut chunk).await?;
            if more == 0 {
                return Ok(());
            }
            self.written += more as u64;
            self.bytes.extend_from_slice(&chunk[..more]);
            let surplus = self.bytes.len().saturating_sub(self.limit);
            self.bytes.drain(..surplus);
        }
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
            ..ChildCommand::default()
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
        assert_eq!(exit.written, 100_005);
        assert_eq!(exit.code, None);
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let command =
            ChildCommand { argv: vec!["/no/such/program".to_owned()], ..ChildCommand::default() };
        let failed = TokioRuntime::run(Level::Error, |runtime| async move {
            runtime.run_child(command).await.map(|_| ())
        });
        let error = failed.expect("an executor").expect_err("there is no such program");
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
