//! User events and the rotation of gossip's keys among real agents on loopback: a server and two clients,
//! one of which comes too late for the new key.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::real_members::{QUICK, sees, tell};
use crate::real_process::{Agent, Ports, Setup, call, eventually, meanwhile};

const OLD: &str = "pUqJrVyVRj5jsiYEkM/tFQ==";
const NEW: &str = "4jpQS/ZGt9XVCv9JnVAtzQ==";

fn json(agent: &Agent, method: &str, target: &str, body: &[u8]) -> (u16, Value) {
    let answer = call(agent.at, method, target, body).expect("an answer");
    let text = answer.text();
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (answer.status, value)
}

/// Fires an event; its id.
fn fire(agent: &Agent, name: &str, payload: &str) -> String {
    let target = format!("/v1/event/fire/{name}");
    let (status, event) = json(agent, "PUT", &target, payload.as_bytes());
    assert_eq!(status, 200, "{event}");
    assert_eq!((&event["Name"], &event["LTime"]), (&Value::from(name), &Value::from(0)));
    event["ID"].as_str().expect("an id").to_owned()
}

/// Waits until an agent lists an event, each one once.
fn hears(agent: &Agent, id: &str) {
    eventually(&format!("{} hears of {id}", agent.at), || {
        let (_, events) = json(agent, "GET", "/v1/event/list", b"");
        let events = events.as_array()?;
        let count = events.iter().filter(|event| event["ID"] == id).count();
        assert!(count < 2, "{events:?}");
        (count == 1).then_some(())
    });
}

/// An operation on the keys: status and text.
fn keys(agent: &Agent, method: &str, key: &str) -> (u16, String) {
    let body = format!("{{\"Key\": \"{key}\"}}");
    let answer = call(agent.at, method, "/v1/operator/keyring", body.as_bytes());
    let answer = answer.expect("an answer");
    (answer.status, answer.text())
}

/// Runs a command until it succeeds: on a machine that is busy a member may answer too late. What it
/// said.
fn done(agent: &Agent, args: &[&str]) -> String {
    eventually(&format!("{args:?}"), || {
        let (code, said, _) = tell(agent, args);
        (code == 0).then_some(said)
    })
}

/// How many members of the datacenter have a key: `[n/of]`, of those that `keyring -list` shows.
fn listed(server: &Agent, key: &str) -> Option<String> {
    let shown = done(server, &["keyring", "-list"]);
    let lan = shown.split("dc1 (LAN):").nth(1).expect("the LAN pool");
    let line = lan.lines().find(|line| line.contains(key))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

/// Waits until an agent passes no queries on any more: who joins now does not hear of them.
fn falls_silent(agent: &Agent) {
    eventually(&format!("{} has no queries to pass on", agent.at), || {
        let (_, info, _) = tell(agent, &["info"]);
        let lan = info.split("serf_lan:").nth(1)?.split("serf_wan:").next()?.to_owned();
        lan.contains("query_queue = 0").then_some(())
    });
}

/// Gossip that is quick to tell and slow to give anybody up: a process that gets no processor for a second
/// is not taken for failed, which would cost the 30 s until Serf asks it again.
const PATIENT: &str = ", \"gossip_lan\": { \"gossip_interval\": \"50ms\", \"suspicion_mult\": 12 },\n\
     \"performance\": { \"raft_multiplier\": 1, \"leave_drain_time\": \"200ms\" },\n\
     \"retry_interval\": \"500ms\"";

/// Does something to the keys until a list says what is wanted of one of them. A query reaches only who is
/// not taken for failed, and an answer may come too late; each operation may be done twice.
fn until_listed(server: &Agent, operation: &str, key: &str, wanted: Option<&str>) {
    eventually(&format!("{operation}: {key} is at {wanted:?}"), || {
        tell(server, &["keyring", operation]);
        (listed(server, key).as_deref() == wanted).then_some(())
    });
}

#[test]
fn keys_rotate_while_gossip_goes_on() {
    let ports = Ports::free();
    let join = format!("-retry-join={}", ports.lan_at(1));
    let client = |host| Setup::on(host, ports, PATIENT, &["-encrypt", OLD, &join]).durable();
    let first = Setup::on(1, ports, PATIENT, &["-server", "-bootstrap", "-encrypt", OLD]).durable();
    let (second, third) = (client(2), client(3));
    let server = first.serve();
    let early = second.serve();
    let alive = [("n1", "alive", "server"), ("n2", "alive", "client"), ("n3", "alive", "client")];
    sees(&server, &alive[..2]);
    until_listed(&server, &format!("-install={NEW}"), NEW, Some("[2/2]"));

    // The third has missed the rotation, which is reported: it refuses the key that it does not have, or
    // cannot even read who asks, because the others seal with that key already. Only who has given it up
    // by then hears nothing of it.
    [&server, &early].iter().for_each(|agent| falls_silent(agent));
    let late = third.serve();
    eventually("the third lacks the new key", || {
        sees(&server, &alive);
        (listed(&server, NEW).as_deref() == Some("[2/3]")).then_some(())
    });
    let (status, why) = keys(&server, "PUT", NEW);
    let refuses = "1/3 nodes reported failure\n\t* n3: requested key is not in the keyring\n";
    let silent = "nodes reported success\n";
    let is_reported = status == 500 && (why.contains(refuses) || why.contains(silent));
    let given_up = server.log().contains("EventMemberFailed: n3");
    assert!(is_reported || status == 200 && given_up, "{status} {why}");

    // Back to the old key, which everybody has, and once more from the beginning. Until all are sealed
    // alike again, the third may be taken for failed, and is not asked. A step is made only when all
    // three have made the one before: whoever seals with a key that others have removed is lost to them.
    done(&server, &["keyring", &format!("-use={OLD}")]);
    sees(&server, &alive);
    until_listed(&server, &format!("-install={NEW}"), NEW, Some("[3/3]"));
    let announced = "==> Gathering installed primary encryption keys...";
    let all_use_it = format!("{announced}\n\ndc1 (LAN):\n  {NEW} [3/3]\n");
    eventually("all three use the new key", || {
        tell(&server, &["keyring", &format!("-use={NEW}")]);
        let shown = done(&server, &["keyring", "-list-primary", "-local-only"]);
        (shown == all_use_it).then_some(())
    });
    until_listed(&server, &format!("-remove={OLD}"), OLD, None);
    eventually("all three have the new key", || {
        (listed(&server, NEW).as_deref() == Some("[3/3]")).then_some(())
    });

    // Events still reach everybody, and the file is what the members have.
    let id = fire(&late, "rotated", "by hand");
    [&server, &early, &late].iter().for_each(|agent| hears(agent, &id));
    let file = second.data().join("serf/local.keyring");
    eventually("the second keeps the new key alone", || {
        let text = std::fs::read_to_string(&file).expect("the keyring file");
        (serde_json::from_str::<Vec<String>>(&text).expect("JSON") == [NEW]).then_some(())
    });
    let mode = std::fs::metadata(&file).expect("the keyring file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    early.crash();
    let early = second.serve();
    sees(&early, &alive);

    let refused = keys(&early, "POST", NEW);
    let text = "keyring operations must run against a server node".to_owned();
    assert_eq!(refused, (500, text));
}

#[test]
fn an_unencrypted_pool_has_no_keys() {
    let agent = Setup::new(1, Ports::free().server, QUICK, &["-dev"]).serve();
    let text = |what: &str| {
        format!(
            "4 errors occurred:\n\t* WAN error: 1/1 nodes reported failure\n\t* n1.dc1: {what} \
             (encryption not enabled)\n\t* dc1 (LAN) error: 1/1 nodes reported failure\n\t* n1: {what} \
             (encryption not enabled)\n\n"
        )
    };
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(keys(&agent, method, NEW), (500, text("No keyring to modify")));
    }
    let (status, why) = json(&agent, "GET", "/v1/operator/keyring", b"");
    assert_eq!((status, why), (500, Value::String(text("Keyring is empty"))));
    // A key that is none never leaves the server; local-only is for lists.
    let (status, why) = keys(&agent, "POST", "a!");
    let bad = "illegal base64 data at input byte 1";
    let wanted =
        format!("2 errors occurred:\n\t* WAN error: {bad}\n\t* dc1 (LAN) error: {bad}\n\n");
    assert_eq!((status, why), (500, wanted));
    let (status, why) = json(&agent, "POST", "/v1/operator/keyring?local-only=1", b"{}");
    let wanted = "Bad request: Invalid use of local-only: local-only can only be set for list \
                  requests";
    assert_eq!((status, why), (400, Value::from(wanted)));
    let (code, _, said) = tell(&agent, &["keyring", "-list", &format!("-use={NEW}")]);
    assert_eq!((code, said.as_str()), (1, "Only a single action is allowed\n"));
}

#[test]
fn events_wake_who_waits_and_are_limited() {
    let agent = Setup::new(1, Ports::free().server, QUICK, &["-dev"]).serve();
    let empty = call(agent.at, "GET", "/v1/event/list", b"").expect("an answer");
    assert_eq!((empty.text().trim(), empty.index()), ("[]", 1));
    let at = agent.at;
    let waiting = meanwhile(move || call(at, "GET", "/v1/event/list?index=1&wait=60s", b""));
    let id = fire(&agent, "deploy", "x");
    let woken = waiting.join().expect("no panic").expect("an answer");
    let events: Value = serde_json::from_slice(&woken.body).expect("JSON");
    assert_eq!(
        (&events[0]["ID"], &events[0]["Payload"]),
        (&Value::from(&*id), &Value::from("eA=="))
    );
    let digits = u128::from_str_radix(&id.replace('-', ""), 16).expect("hex digits");
    assert_eq!(u128::from(woken.index()), (digits >> 64) ^ (digits & u128::from(u64::MAX)));

    let limit = "user event exceeds configured limit of 512 bytes before encoding";
    let wanted =
        format!("1 error occurred:\n\t* error broadcasting event to segment \"\": {limit}\n\n");
    let (status, why) = json(&agent, "PUT", "/v1/event/fire/big", &[b'a'; 600]);
    assert_eq!((status, why), (500, Value::from(wanted)));
    let (status, why) = json(&agent, "PUT", "/v1/event/fire/x?tag=a", b"");
    let tag = "Cannot provide tag filter without service filter";
    assert_eq!((status, why), (500, Value::from(tag)));
    let (status, why) = json(&agent, "PUT", "/v1/event/fire/x?dc=elsewhere", b"");
    assert_eq!((status, why), (500, Value::from("No path to datacenter")));

    let (code, said, _) = tell(&agent, &["event", "-name=by hand", "-node=n[0-9]", "payload"]);
    assert_eq!(code, 0);
    let id = said.strip_prefix("Event ID: ").expect("an id").trim();
    hears(&agent, id);
    let (code, _, said) = tell(&agent, &["event", "-name=x", "-tag=y"]);
    assert_eq!((code, said.trim()), (1, "Cannot provide tag filter without service filter."));
    let (_, key, _) = crate::real_process::command(&["keygen"], "");
    assert_eq!(key.trim().len(), 44);
}
