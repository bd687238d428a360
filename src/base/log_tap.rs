//! Log lines for those who listen: each gets the lines at its level from when it began, until it is dropped.
//!
//! ```text
//!   Runtime::log ──► standard error
//!              └───► LogTaps ──► LogTap: up to 512 lines wait, further ones are lost
//! ```
//!
//! A listener that is slow loses lines and never holds up whoever logs. Without listeners a line costs one
//! look at a counter.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::calendar::Utc;
use super::runtime::Level;
use super::time::WallTime;

/// Lines that wait for one listener.
pub const WAITING_MAX: usize = 512;

/// One line. `Display` is Consul's form: `2024-01-02T15:04:05.678Z [INFO]  agent.server: text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When, by the wall clock.
    pub at: WallTime,
    /// How grave.
    pub level: Level,
    /// Consul's logger name.
    pub module: String,
    /// The text.
    pub text: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, level, module, text } = self;
        write!(f, "{} {} {module}: {text}", Utc::from(*at).millis(), label(*level))
    }
}

/// The level as hclog writes it, padded so that texts line up.
fn label(level: Level) -> &'static str {
    match level {
        Level::Trace => "[TRACE]",
        Level::Debug => "[DEBUG]",
        Level::Info => "[INFO] ",
        Level::Warn => "[WARN] ",
        Level::Error => "[ERROR]",
    }
}

/// Where a process's lines can be listened to. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct LogTaps(Arc<Taps>);

#[derive(Debug, Default)]
struct Taps {
    count: AtomicUsize,
    queues: Mutex<Vec<Arc<Queue>>>,
}

#[derive(Debug)]
struct Queue {
    level: Level,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<LogLine>,
    waker: Option<Waker>,
}

impl LogTaps {
    /// Listens to lines of this level and graver ones.
    #[must_use]
    pub fn listen(&self, level: Level) -> LogTap {
        let queue = Arc::new(Queue { level, waiting: Mutex::default() });
        locked(&self.0.queues).push(queue.clone());
        self.0.count.fetch_add(1, Ordering::Relaxed);
        LogTap { taps: self.clone(), queue }
    }

    /// Whether anybody listens: if not, a line need not be made.
    #[must_use]
    pub fn has_listeners(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) > 0
    }

    /// Gives a line to all who listen to its level. Never waits for one of them.
    pub fn publish(&self, line: &LogLine) {
        let mut wakers = Vec::new();
        for queue in locked(&self.0.queues).iter().filter(|queue| queue.level <= line.level) {
            let mut waiting = locked(&queue.waiting);
            if waiting.lines.len() < WAITING_MAX {
                waiting.lines.push_back(line.clone());
            }
            wakers.extend(waiting.waker.take());
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// One listener.
#[derive(Debug)]
pub struct LogTap {
    taps: LogTaps,
    queue: Arc<Queue>,
}

impl LogTap {
    /// The next line.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LogLine> {
        let mut waiting = locked(&self.queue.waiting);
        match waiting.lines.pop_front() {
            Some(line) => Poll::Ready(line),
            None => {
                waiting.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for LogTap {
    fn drop(&mut self) {
        locked(&self.taps.0.queues).retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.taps.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A panic elsewhere leaves lines as they are: each is whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Level, text: &str) -> LogLine {
        LogLine { at: WallTime(0), level, module: "agent".to_owned(), text: text.to_owned() }
    }

    fn next(tap: &mut LogTap) -> Option<String> {
        match tap.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(line) => Some(line.text),
            Poll::Pending => None,
        }
    }

    #[test]
    fn each_listener_gets_its_levels_while_it_listens() {
        let taps = LogTaps::default();
        taps.publish(&line(Level::Error, "before"));
        let (mut all, mut grave) = (taps.listen(Level::Trace), taps.listen(Level::Warn));
        taps.publish(&line(Level::Info, "a"));
        taps.publish(&line(Level::Warn, "b"));
        assert_eq!(
            [next(&mut all), next(&mut all), next(&mut all)],
            [Some("a".into()), Some("b".into()), None]
        );
        assert_eq!([next(&mut grave), next(&mut grave)], [Some("b".into()), None]);
        drop((all, grave));
        assert!(!taps.has_listeners());
    }

    #[test]
    fn a_slow_listener_loses_lines() {
        let taps = LogTaps::default();
        let mut tap = taps.listen(Level::Trace);
        for number in 0..WAITING_MAX + 10 {
            taps.publish(&line(Level::Info, &number.to_string()));
        }
        let heard = std::iter::from_fn(|| next(&mut tap)).count();
        assert_eq!(heard, WAITING_MAX);
    }

    #[test]
    fn lines_have_consuls_form() {
        let shown = line(Level::Info, "text").to_string();
        assert_eq!(shown, "1970-01-01T00:00:00.000Z [INFO]  agent: text");
        let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
        assert!(levels.into_iter().all(|level| label(level).len() == "[ERROR]".len()));
    }
}
