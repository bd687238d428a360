//! The ring, lists and waiting against a model that keeps everything; filters one by one.

use super::*;
use crate::base::Duration;
use crate::gossip::LamportTime;

fn heard(name: &str, number: u64) -> gossip::UserEvent {
    let event = FiredEvent {
        id: uuid((u128::from(number) * 0x0123_4567_89ab_cdef_0011).to_be_bytes()),
        name: name.to_owned(),
        version: 1,
        ..FiredEvent::default()
    };
    carried(&event, number)
}

fn carried(event: &FiredEvent, number: u64) -> gossip::UserEvent {
    gossip::UserEvent {
        time: LamportTime(number),
        name: FiredEvent::serf_name(&event.name),
        payload: Some(user_event::encode(event)),
        coalesce: false,
    }
}

fn events() -> UserEvents {
    UserEvents::new("n1", &Prng::new(1), &Faults::none())
}

fn list(events: &mut UserEvents, name: &str) -> (Vec<u64>, u64) {
    let request = Request::UserEvents { name: name.to_owned(), index: 0, max_wait: Duration::ZERO };
    let mut out = Vec::new();
    assert!(events.ask(Instant::ZERO, RequestId(u64::MAX), request, &mut out).is_none());
    match out.pop() {
        Some(Output::Answer(_, Ok(Reply::UserEvents { events, index }))) => {
            (events.iter().map(|event| event.time).collect(), index)
        }
        other => panic!("{other:?}"),
    }
}

fn answers(out: &mut Vec<Output>) -> Vec<RequestId> {
    let answer = |output| match output {
        Output::Answer(id, Ok(Reply::UserEvents { .. })) => Some(id),
        _ => None,
    };
    out.drain(..).filter_map(answer).collect()
}

#[test]
fn the_index_is_that_of_consul() {
    let id = "b54fe110-7af5-cafc-d1fb-afc8ba432b1c".to_owned();
    let event = FiredEvent { id, ..FiredEvent::default() };
    assert_eq!(event.index(), 7_256_511_592_453_824_992);
}

#[test]
fn lists_and_waits_agree_with_a_model() {
    let names = ["a", "b", ""];
    for seed in 0..20 {
        let mut prng = Prng::new(seed);
        let mut events = events();
        let mut model: Vec<(u64, usize)> = Vec::new();
        // Who waits: request, name, until.
        let mut waiting: Vec<(RequestId, usize, Instant)> = Vec::new();
        let (mut now, mut next, mut out) = (Instant::ZERO, 1, Vec::new());
        for number in 1..700 {
            now += Duration::from_millis(prng.below(100));
            match prng.below(4) {
                0 => {
                    let (id, name) = (RequestId(next), prng.below(3) as usize);
                    next += 1;
                    let index = list(&mut events, names[name]).1;
                    let max_wait = Duration::from_millis(prng.below(2_000));
                    let name_text = names[name].to_owned();
                    let request = Request::UserEvents { name: name_text, index, max_wait };
                    assert!(events.ask(now, id, request, &mut out).is_none());
                    waiting.push((id, name, now + max_wait));
                }
                1 if !waiting.is_empty() => {
                    let gone = prng.below(waiting.len() as u64) as usize;
                    events.forget(waiting.remove(gone).0);
                }
                _ => {
                    let name = prng.below(2) as usize;
                    events.hear(&heard(names[name], number), &[], &mut out);
                    model.push((number, name));
                    let mut woken = answers(&mut out);
                    woken.sort();
                    let concerned = |it: &(RequestId, usize, Instant)| it.1 == name || it.1 == 2;
                    let wanted: Vec<_> =
                        waiting.iter().filter(|it| concerned(it)).map(|it| it.0).collect();
                    assert!(wanted.iter().all(|id| woken.contains(id)), "{wanted:?} {woken:?}");
                    // Another name's last event may have fallen out, and nothing else wakes.
                    let last = |name| model.iter().rposition(|it| it.1 == name);
                    let fell = |name| last(name).is_some_and(|at| at + KEPT + 1 == model.len());
                    for (id, name, _) in waiting.iter().filter(|it| !concerned(it)) {
                        assert_eq!(woken.contains(id), *name < 2 && fell(*name));
                    }
                    waiting.retain(|it| !woken.contains(&it.0));
                }
            }
            events.wake(now, &mut out);
            let late = answers(&mut out);
            assert!(late.iter().all(|id| waiting.iter().any(|it| it.0 == *id && it.2 <= now)));
            waiting.retain(|it| it.2 > now);
            assert_eq!(events.deadline(), waiting.iter().map(|it| it.2).min());
            let kept = &model[model.len().saturating_sub(KEPT)..];
            for (name, text) in names.iter().enumerate() {
                let wanted = kept.iter().filter(|it| name == 2 || it.1 == name).map(|it| it.0);
                assert_eq!(list(&mut events, text).0, wanted.collect::<Vec<_>>());
            }
            events.check_invariants();
        }
    }
}

#[test]
fn filters_say_whom_an_event_concerns() {
    let tags = ["v1".to_owned(), "primary".to_owned()];
    let services: [(&str, &[String]); 1] = [("web", &tags)];
    let concerns = |node: &str, service: &str, tag: &str| {
        let mut events = events();
        let event = FiredEvent {
            node_filter: node.to_owned(),
            service_filter: service.to_owned(),
            tag_filter: tag.to_owned(),
            ..user_event::decode(heard("x", 1).payload.as_deref().unwrap_or_default())
                .expect("our own")
        };
        events.hear(&carried(&event, 1), &services, &mut Vec::new());
        events.kept.len() == 1
    };
    assert!(concerns("", "", ""));
    assert!(concerns("n[0-9]", "", "") && concerns("1", "", "") && !concerns("^1", "", ""));
    assert!(concerns("", "we", "") && !concerns("", "db", "") && !concerns("n2", "web", ""));
    assert!(concerns("", "web", "prim") && !concerns("", "web", "v2"));
    assert!(!concerns("[", "", ""), "what cannot be read concerns nobody");
}

#[test]
fn remote_execution_and_garbage_are_dropped() {
    let mut events = events();
    let mut out = Vec::new();
    events.hear(&heard("_rexec", 1), &[], &mut out);
    let garbage = Some(Bytes::from_static(b"\xc1"));
    let event = gossip::UserEvent { payload: garbage, ..heard("x", 2) };
    events.hear(&event, &[], &mut out);
    events.hear(&gossip::UserEvent { name: "x".to_owned(), ..heard("x", 3) }, &[], &mut out);
    assert!(events.kept.is_empty());
    assert_eq!(out.len(), 2, "what is not Consul's is nobody's business: {out:?}");
}
