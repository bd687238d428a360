//! `dns` steps: a question asked on a node itself, as `dig` asks it, and what its answer must be.
//!
//! Each try belongs to the history, under the user name of the step.

use proconsul::base::Duration;

use crate::history::lookup::{By, Question, Resolved};
use crate::history::operation::Call;
use crate::history::request::Request;
use crate::scenario::lookup::{Answers, DnsExpect, DnsStep};
use crate::scenario::model::Step;
use crate::trace::event::Host;
use crate::workload::resolver;

use super::request::{RETRY, compare_parts, shortened};
use super::script::Script;

/// How long one question may take: three tries of 5 s, as `dig` has them.
const PATIENCE: Duration = Duration::from_secs(15);

impl Script {
    pub(super) async fn dns(&self, index: usize, step: &Step, dns: &DnsStep) {
        let Some(via) = self.via(index, step, &dns.via) else { return };
        let detail = format!("{} {} on {}", dns.name, dns.kind, self.cluster.name(via));
        self.announce(index, step, detail, &[via]);
        let deadline = self.cluster.now() + if dns.retry { step.within } else { PATIENCE };
        // Of its own, so that other steps' draws stay where they are.
        let mut prng = self.cluster.plan().seed.stream(&format!("dns/{}", step.id));
        loop {
            let patience = deadline.since(self.cluster.now()).min(PATIENCE);
            let id = prng.below(1 << 16) as u16;
            let Err(why) = self.look_up(step, dns, (via, id), patience).await else { return };
            if !dns.retry || self.cluster.now() + RETRY > deadline {
                self.fail(index, why);
                return;
            }
            self.sleep(RETRY).await;
        }
    }

    /// One try: `Err` says how the answer differs from what was expected.
    async fn look_up(
        &self,
        step: &Step,
        dns: &DnsStep,
        (via, id): (Host, u16),
        patience: Duration,
    ) -> Result<(), String> {
        let name = self.fill(&dns.name)?;
        let dot = if name.ends_with('.') { "" } else { "." };
        let by = if dns.tcp { By::Tcp } else { By::Edns };
        let question = Question { name: format!("{name}{dot}"), kind: dns.kind.clone(), by };
        let (testbed, user) = (self.cluster.testbed(), format!("step {}", step.id));
        let call = Call::Of(Request::Lookup(question.clone()));
        let op = self.cluster.invoke(testbed, &user, via, &name, &call);
        let to = self.cluster.dns_address(via);
        let result = resolver::resolve(&self.runtime, to, &question, id, patience).await;
        self.cluster.complete(testbed, op, resolver::judge(&result));
        let found = result.map_err(|error| format!("no answer: {error}"))?;
        let fill = |text: &str| self.fill(text);
        compare(&dns.expect, &found, &fill)
    }
}

fn compare(
    expect: &DnsExpect,
    answer: &Resolved,
    fill: &dyn Fn(&str) -> Result<String, String>,
) -> Result<(), String> {
    let text = answer.text();
    let found = format!("found {:?}", shortened(&text));
    if let Some(rcode) = &expect.rcode
        && *rcode != answer.rcode
    {
        return Err(format!("expected {rcode}, {found}"));
    }
    match &expect.answers {
        Some(Answers::Count(count)) if answer.answers.len() as u64 != *count => {
            return Err(format!("expected {count} answers, {found}"));
        }
        Some(Answers::Each(texts)) => {
            let texts = texts.iter().map(|text| fill(text)).collect::<Result<Vec<_>, _>>()?;
            if !each(&texts, &answer.answers) {
                return Err(format!("expected answers with each of {texts:?}, {found}"));
            }
        }
        _ => {}
    }
    compare_parts("an answer", &expect.contains, &expect.excludes, &text, &found, &fill)
}

/// Whether there are as many records as texts, and each text is in one of its own.
fn each(texts: &[String], records: &[String]) -> bool {
    let Some((first, others)) = texts.split_first() else { return records.is_empty() };
    let rest = |at: usize| [&records[..at], &records[at + 1..]].concat();
    let mut places = (0..records.len()).filter(|at| records[*at].contains(first));
    texts.len() == records.len() && places.any(|at| each(others, &rest(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(answers: &[&str]) -> Resolved {
        Resolved {
            rcode: "NOERROR".to_owned(),
            by: By::Edns,
            truncated: false,
            answers: answers.iter().map(|it| (*it).to_owned()).collect(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }

    #[test]
    fn answers_are_compared_one_by_one() {
        let texts = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let all = texts(&["web. 0 IN A 10.0.0.1", "web. 0 IN A 10.0.0.10"]);
        assert!(each(&texts(&["10.0.0.1", "10.0.0.10"]), &all));
        assert!(each(&texts(&["10.0.0.10", "10.0.0.1"]), &all));
        assert!(!each(&texts(&["10.0.0.10", "10.0.0.10"]), &all));
        assert!(!each(&texts(&["10.0.0.1"]), &all));
        let expect = DnsExpect {
            rcode: Some("NOERROR".to_owned()),
            answers: Some(Answers::Count(1)),
            contains: texts(&["10.0.0.1"]),
            excludes: texts(&["10.0.0.2"]),
        };
        let fill = |text: &str| Ok(text.to_owned());
        let told = |answers: &[&str]| compare(&expect, &resolved(answers), &fill);
        assert_eq!(told(&["web. 0 IN A 10.0.0.1"]), Ok(()));
        let found = "found \"status: NOERROR\\n\"";
        assert_eq!(told(&[]), Err(format!("expected 1 answers, {found}")));
        assert!(told(&["web. 0 IN A 10.0.0.21"]).is_err());
    }
}
