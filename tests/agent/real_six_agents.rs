//! Three servers, three clients and nginx in front of their six HTTP ports, round robin: the cluster of the
//! article that kills its leader and gives applications one address for all agents.
//!
//! ```text
//!   test ─► nginx ─┬─► n1 n2 n3   servers; only n1 has -bootstrap-expect=3, the others join it
//!                  └─► n4 n5 n6   clients
//!   backend of the test ◄── HTTP check of whichever agent the ring gave the registration to
//! ```
//!
//! What was seen with real Consul 1.9.8: a write is read the same on all six at once; a change of health is
//! soon on all six; of three servers without their leader one of the two leads after a while; the old leader
//! comes back as a follower. Nothing here depends on how long that takes.
//!
//! Without an nginx the test says so and passes, except where `CI` is `true`.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{env, fs};

use serde_json::{Value, json};

use crate::real_members::{QUICK, sees, tell};
use crate::real_process::{
    Agent, Ports, Setup, call, eventually, free_port, get, loopback, meanwhile, put,
};

const AGENTS: u8 = 6;

/// nginx on a port of its own; killed when dropped. It is one process without children.
struct Ring {
    nginx: Child,
    at: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}

/// The program, where there is one.
fn nginx() -> Option<&'static str> {
    let runs = |program: &&str| {
        let version = Command::new(program).arg("-v").stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    ["nginx", "/usr/sbin/nginx"].into_iter().find(runs)
}

impl Ring {
    /// The article's configuration, and what keeps nginx in a folder of the test.
    fn start(program: &str, http: u16) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = SocketAddr::new(loopback(1), free_port());
        let servers: String =
            (1..=AGENTS).map(|host| format!("server {}:{http};\n", loopback(host))).collect();
        let own = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name};\n"))
            .concat();
        let file = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{\naccess_log off;\n{own}upstream myconsul {{\n{servers}}}\n\
             server {{ listen {at}; location / {{ proxy_pass http://myconsul; }} }}\n}}\n"
        );
        fs::write(folder.path().join("nginx.conf"), file).expect("a written file");
        let nginx = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let log = folder.path().join("error.log");
        let ring = Self { nginx, at, _folder: folder };
        eventually(&format!("nginx listens, {}", log.display()), || TcpStream::connect(at).ok());
        ring
    }
}

/// What a health check asks: it answers 200 until it is dropped, and its port is closed then.
struct Backend {
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    served: Option<JoinHandle<()>>,
}

impl Backend {
    fn start(port: u16) -> Self {
        let listener = eventually("the backend's port is free", || {
            TcpListener::bind((loopback(1), port)).ok()
        });
        let at = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let served = meanwhile(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                // A check that goes away early is not this backend's problem.
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let _ = stream.read(&mut [0; 1024]);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                let _ = stream.write_all(answer);
            }
        });
        Self { at, stop, served: Some(served) }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.at);
        if let Some(served) = self.served.take() {
            let _ = served.join();
        }
    }
}

/// The six, as they are started; nothing runs yet.
fn setups(ports: Ports) -> Vec<Setup> {
    let first = ports.lan_at(1);
    let (join, retry_join) = (format!("-join={first}"), format!("-retry-join={first}"));
    let config = format!("{QUICK}, \"skip_leave_on_interrupt\": true");
    let setup = |host| match host {
        1 => Setup::on(1, ports, &config, &["-server", "-bootstrap-expect=3"]),
        2 | 3 => Setup::on(host, ports, &config, &["-server", &join]),
        _ => Setup::on(host, ports, &config, &[&retry_join]),
    };
    (1..=AGENTS).map(|host| setup(host).durable()).collect()
}

fn json_at(at: SocketAddr, target: &str) -> Option<Value> {
    let answer = call(at, "GET", target, b"").ok()?;
    (answer.status == 200).then(|| serde_json::from_slice(&answer.body).ok())?
}

/// Which agent is the leader, in the eyes of this one.
fn leader_of(at: SocketAddr) -> Option<usize> {
    let told = json_at(at, "/v1/status/leader")?;
    let ip = told.as_str()?.split(':').next()?;
    (1..=AGENTS).find(|host| loopback(*host).to_string() == ip).map(|host| usize::from(host) - 1)
}

/// Whom all of these name as leader.
fn agreed_leader(agents: &[&Agent]) -> usize {
    eventually("all agents name one leader", || {
        let named: Option<BTreeSet<usize>> =
            agents.iter().map(|agent| leader_of(agent.at)).collect();
        named.filter(|leaders| leaders.len() == 1)?.pop_first()
    })
}

/// The ids of a service's instances in the catalog.
fn instances(at: SocketAddr, service: &str) -> Option<BTreeSet<String>> {
    let rows = json_at(at, &format!("/v1/catalog/service/{service}"))?;
    let id = |row: &Value| row["ServiceID"].as_str().map(str::to_owned);
    rows.as_array()?.iter().map(id).collect()
}

/// Status of the check of one instance.
fn status_of(at: SocketAddr, service: &str, id: &str) -> Option<String> {
    let checks = json_at(at, &format!("/v1/health/checks/{service}"))?;
    let own = checks.as_array()?.iter().find(|check| check["ServiceID"] == id)?;
    own["Status"].as_str().map(str::to_owned)
}

fn all_see(agents: &[Agent], id: &str, status: &str) {
    for agent in agents {
        eventually(&format!("{} sees {id} as {status}", agent.at), || {
            status_of(agent.at, "stock", id).filter(|seen| seen == status)
        });
    }
}

/// Registers an instance through the ring, with a check of this backend every second.
fn register(ring: SocketAddr, id: &str, backend: SocketAddr) {
    let check = json!({ "HTTP": format!("http://{backend}/health"), "Interval": "1s" });
    let port = backend.port();
    let body = json!({ "ID": id, "Name": "stock", "Port": port, "Check": check }).to_string();
    let answer = call(ring, "PUT", "/v1/agent/service/register", body.as_bytes());
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
}

fn start_all(setups: &[Setup]) -> Vec<Agent> {
    let first = setups[0].start();
    eventually("the first answers", || json_at(first.at, "/v1/agent/self"));
    // Two servers more make it three, and only the first one counts them.
    let others = setups[1..].iter().map(Setup::start);
    let running: Vec<Agent> = std::iter::once(first).chain(others).collect();
    let kinds = ["server", "server", "server", "client", "client", "client"];
    let names: Vec<String> = (1..=AGENTS).map(|host| format!("n{host}")).collect();
    let members: Vec<(&str, &str, &str)> =
        names.iter().zip(kinds).map(|(name, kind)| (name.as_str(), "alive", kind)).collect();
    running.iter().for_each(|agent| sees(agent, &members));
    running.iter().for_each(Agent::wait_until_ready);
    running
}

#[test]
fn six_agents_behind_one_address_do_what_the_article_says() {
    let Some(program) = nginx() else {
        let is_ci = env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "no nginx here: `apt-get install nginx`");
        eprintln!("skipped: no nginx here, so nothing can stand in front of the six agents");
        return;
    };
    let ports = Ports::free();
    let setups = setups(ports);
    let mut running = start_all(&setups);
    let ring = Ring::start(program, ports.http);
    each_request_meets_another_agent(ring.at);
    written_once_read_everywhere(ring.at, &running);

    let backends = [(); 2].map(|()| Backend::start(free_port()));
    let ports = backends.each_ref().map(|backend| backend.at.port());
    for (backend, id) in backends.iter().zip(["stock-1", "stock-2"]) {
        register(ring.at, id, backend.at);
        all_see(&running, id, "passing");
    }
    // One of them stops, and the other is not touched by that.
    let [first, second] = backends;
    drop(second);
    all_see(&running, "stock-2", "critical");
    all_see(&running, "stock-1", "passing");
    let second = Backend::start(ports[1]);
    all_see(&running, "stock-2", "passing");

    the_leader_dies_and_returns(&setups, &mut running, ring.at);
    all_see(&running, "stock-1", "passing");
    all_see(&running, "stock-2", "passing");
    drop((first, second));
    all_see(&running, "stock-1", "critical");
    all_see(&running, "stock-2", "critical");
}

fn each_request_meets_another_agent(ring: SocketAddr) {
    let name = |()| {
        let info = json_at(ring, "/v1/agent/self").expect("an answer");
        info["Config"]["NodeName"].as_str().map(str::to_owned)
    };
    let met: BTreeSet<Option<String>> = [(); AGENTS as usize].map(name).into_iter().collect();
    assert_eq!(met.len(), usize::from(AGENTS), "{met:?}");
}

/// Default reads see a write that was answered before they began, wherever they ask.
fn written_once_read_everywhere(ring: SocketAddr, agents: &[Agent]) {
    assert!(put(agents[0].at, "shenzhenma", "hellow"));
    assert_eq!(get(agents[1].at, "shenzhenma", "").as_deref(), Some("hellow"));
    assert!(put(agents[2].at, "shenzhenma", "hellow world"));
    assert_eq!(get(agents[0].at, "shenzhenma", "").as_deref(), Some("hellow world"));
    for turn in 0..usize::from(AGENTS) {
        let value = format!("turn {turn}");
        assert!(put(ring, "through/the/ring", &value), "{value}");
        for at in agents.iter().map(|agent| agent.at).chain([ring]) {
            assert_eq!(get(at, "through/the/ring", "").as_deref(), Some(value.as_str()), "{at}");
        }
    }
}

fn the_leader_dies_and_returns(setups: &[Setup], running: &mut Vec<Agent>, ring: SocketAddr) {
    let all = ["stock-1", "stock-2"].map(str::to_owned).into_iter().collect::<BTreeSet<_>>();
    let old = agreed_leader(&running.iter().collect::<Vec<_>>());
    assert!(old < 3, "a server leads");
    running.remove(old).crash();
    let new = eventually("the survivors name another leader", || {
        let named: Option<BTreeSet<usize>> =
            running.iter().map(|agent| leader_of(agent.at)).collect();
        let only = named.filter(|leaders| leaders.len() == 1)?.pop_first()?;
        (only != old).then_some(only)
    });
    assert!(new < 3, "a server leads");
    eventually("the ring takes writes", || put(ring, "after/the/leader", "1").then_some(()));
    for _ in 0..AGENTS {
        let value = eventually("the ring answers", || get(ring, "through/the/ring", ""));
        assert_eq!(value, "turn 5");
        let found = eventually("the ring lists services", || instances(ring, "stock"));
        assert_eq!(found, all, "what is registered stays in the catalog");
    }

    // It returns, votes again after a while, and follows all that time.
    running.insert(old, setups[old].start());
    let name = format!("n{}", old + 1);
    for agent in running.iter() {
        sees(agent, &[(&name, "alive", "server")]);
    }
    eventually("three servers vote", || {
        let leaders = running.iter().filter_map(|agent| leader_of(agent.at));
        leaders.for_each(|leader| assert_eq!(leader, new, "the leader stays"));
        let (code, table, _) = tell(&running[new], &["operator", "raft", "list-peers"]);
        let votes = table.lines().skip(1).filter(|line| line.contains(" true ")).count();
        (code == 0 && votes == 3).then_some(())
    });
    assert_eq!(agreed_leader(&running.iter().collect::<Vec<_>>()), new);
    running[old].wait_until_ready();
    assert_eq!(get(running[old].at, "after/the/leader", "").as_deref(), Some("1"));
    for agent in running.iter() {
        assert_eq!(instances(agent.at, "stock"), Some(all.clone()), "{}", agent.at);
    }
}
