//! Golden transcripts of the polling loop of a watch alone, in `golden/watch/`. `UPDATE_GOLDENFILES=1 cargo
//! test --test agent watch_golden` writes them anew; read the difference before it is committed.
//!
//! | command | what it does |
//! |---|---|
//! | `begin [ordered=no]` | the loop begins; `ordered=no`: as for events, whose indexes are names |
//! | `answer 7 VALUE` | the question is answered: index and result |
//! | `hash h1 VALUE` | the same for a thing that has a hash |
//! | `fail WHY` | the question fails |
//! | `handled` | the handler is done |
//! | `run 5s` | lets time pass, waking when it is due |

use std::error::Error;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use proconsul::base::{Instant, go_duration};
use proconsul::watch::{Input, Marker, Output, Poller};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Script {
    now: Instant,
    poller: Option<Poller>,
    text: String,
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome<String> {
        let mut args = command.consume_args();
        let mut out = Vec::new();
        match command.name.as_str() {
            "begin" => {
                let ordered = args.take_key("ordered").is_none_or(|value| value != "no");
                self.poller = Some(Poller::begin(ordered, &mut out));
            }
            "answer" => {
                let index = word(&mut args)?.parse()?;
                let data = Bytes::from(word(&mut args)?);
                self.step(Input::Answered(Marker::Index(index), data), &mut out)?;
            }
            "hash" => {
                let hash = word(&mut args)?;
                let data = Bytes::from(word(&mut args)?);
                self.step(Input::Answered(Marker::Hash(hash), data), &mut out)?;
            }
            "fail" => self.step(Input::Failed(word(&mut args)?), &mut out)?,
            "handled" => self.step(Input::Handled, &mut out)?,
            "run" => {
                let span = go_duration::parse_span(&word(&mut args)?).ok_or("a span of time")?;
                let end = self.now + span;
                while let Some(due) = self.due().filter(|due| *due <= end) {
                    self.now = due.max(self.now);
                    self.step(Input::Wake, &mut out)?;
                    self.show(&mut out);
                }
                self.now = end;
                // Waking early does nothing.
                self.step(Input::Wake, &mut out)?;
            }
            other => return Err(format!("no command {other}").into()),
        }
        args.reject_next()?;
        self.show(&mut out);
        Ok(std::mem::take(&mut self.text))
    }
}

impl Script {
    fn due(&self) -> Option<Instant> {
        self.poller.as_ref().and_then(Poller::deadline)
    }

    fn step(&mut self, input: Input, out: &mut Vec<Output>) -> Outcome<()> {
        self.poller.as_mut().ok_or("begin first")?.step(self.now, input, out);
        Ok(())
    }

    fn show(&mut self, out: &mut Vec<Output>) {
        let at = go_duration::format(self.now.since(Instant::ZERO));
        for output in out.drain(..) {
            self.text += &match output {
                Output::Ask(None) => format!("{at} ask\n"),
                Output::Ask(Some(Marker::Index(index))) => format!("{at} ask index={index}\n"),
                Output::Ask(Some(Marker::Hash(hash))) => format!("{at} ask hash={hash}\n"),
                Output::Hand(marker, data) => {
                    let data = String::from_utf8_lossy(&data).into_owned();
                    format!("{at} hand index={} {data}\n", marker.index())
                }
                Output::Errored(why, retry) => {
                    format!("{at} errored {why:?} retry={}\n", go_duration::format(retry))
                }
            };
        }
        if let Some(due) = self.due() {
            let due = go_duration::format(due.since(Instant::ZERO));
            self.text += &format!("{at} due at {due}\n");
        }
    }
}

fn word(args: &mut ArgumentConsumer<'_>) -> Outcome<String> {
    Ok(args.next_pos().ok_or("a word is missing")?.to_owned())
}

fn check(name: &str) {
    let path = format!("tests/agent/golden/watch/{name}");
    goldenscript::run(&mut Script::default(), path).expect("as it was");
}

#[test]
fn changes_are_handed_over_once() {
    check("changes");
}

#[test]
fn failures_are_retried_ever_later() {
    check("failures");
}

#[test]
fn an_index_that_goes_back_is_forgotten() {
    check("goes_back");
}

#[test]
fn events_are_not_in_order() {
    check("events");
}
