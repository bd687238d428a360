//! The endpoints of coordinates and `rtt`, over an agent in memory: statuses, texts and shapes as
//! recorded from Consul 1.9.8.

use proconsul::http::{Identity, router};
use proconsul::state::{Command, Node, Register};

use crate::http_cli::shell;
use crate::http_operator::{answer, answer_to};
use crate::http_pipe::World;
use crate::http_store::StoreBackend;

/// An agent whose catalog has these nodes.
fn agent(nodes: &[&str]) -> StoreBackend {
    let backend = StoreBackend::new(Identity::server("node1"));
    for node in nodes {
        let node = Node {
            node: (*node).to_owned(),
            address: "10.0.0.1".to_owned(),
            datacenter: "dc1".to_owned(),
            ..Node::default()
        };
        let register =
            Register { node, service: None, checks: Vec::new(), skip_node_update: false };
        backend.write(&Command::Register(Box::new(register)));
    }
    backend
}

fn update(node: &str, seconds: f64) -> String {
    format!(
        r#"{{"Node":"{node}","Coord":{{"Vec":[{seconds},0,0,0,0,0,0,0],"Error":1.5,"Adjustment":0,"Height":1e-05}}}}"#
    )
}

#[test]
fn what_is_told_of_a_node_is_shown() {
    let router = router(&agent(&["node1", "far"]));
    let put = "PUT /v1/coordinate/update";
    assert_eq!(answer_to(&router, put, &update("far", 0.5)), (200, String::new()));
    let far = r#"{"Node":"far","Segment":"","Coord":{"Vec":[0.5,0,0,0,0,0,0,0],"Error":1.5,"Adjustment":0,"Height":0.00001}}"#;
    for (target, status, text) in [
        ("nodes", 200, format!("[{far}]")),
        ("nodes?segment=", 200, format!("[{far}]")),
        ("nodes?segment=alpha", 200, "[]".to_owned()),
        ("node/FAR", 200, format!("[{far}]")),
        ("node/node1", 404, String::new()),
        ("node/fa", 404, String::new()),
    ] {
        let got = answer(&router, &format!("GET /v1/coordinate/{target}"));
        assert_eq!(got, (status, text), "{target}");
    }
    let (status, text) = answer(&router, "GET /v1/coordinate/datacenters");
    assert_eq!(status, 200);
    let head = r#"[{"Datacenter":"dc1","AreaID":"wan","Coordinates":[{"Node":"node1","Segment":"","Coord":{"#;
    assert!(text.starts_with(head), "{text}");
}

#[test]
fn bad_updates_are_refused() {
    let router = router(&agent(&["node1"]));
    let put = "PUT /v1/coordinate/update";
    for (body, status, text) in [
        ("nope", 400, "Request decode failed: expected ident at line 1 column 2"),
        ("", 400, "Request decode failed: EOF"),
        (r#"{"Node":"node1"}"#, 500, "incompatible coordinate"),
        (
            r#"{"Node":"node1","Coord":{"Vec":["x"]}}"#,
            400,
            "Request decode failed: json: cannot unmarshal array into Go struct field Coordinate.Vec of type []float64",
        ),
    ] {
        assert_eq!(answer_to(&router, put, body), (status, text.to_owned()), "{body}");
    }
}

#[test]
fn without_coordinates_every_endpoint_refuses() {
    let identity = Identity { coordinates: false, ..Identity::server("node1") };
    let router = router(&StoreBackend::new(identity));
    for line in [
        "GET /v1/coordinate/nodes",
        "GET /v1/coordinate/node/node1",
        "GET /v1/coordinate/datacenters",
        "PUT /v1/coordinate/update",
    ] {
        assert_eq!(
            answer(&router, line),
            (401, "Coordinate support disabled".to_owned()),
            "{line}"
        );
    }
}

#[test]
fn rtt_prints_what_consul_prints() {
    let world = World::default();
    let router = router(&agent(&["node1", "far"]));
    world.serve(router.clone());
    let none = "Could not find a coordinate for node \"far\"\n";
    assert_eq!(shell(&world, &["rtt", "far"], ""), (1, String::new(), none.to_owned()));
    for (node, seconds) in [("node1", 0.0), ("far", 0.25)] {
        let put = answer_to(&router, "PUT /v1/coordinate/update", &update(node, seconds));
        assert_eq!(put.0, 200);
    }
    for (line, code, out, err) in [
        (
            &["rtt", "far"][..],
            0,
            "Estimated far <-> node1 rtt: 250.020 ms (using LAN coordinates)\n",
            "",
        ),
        (
            &["rtt", "FAR", "far"],
            0,
            "Estimated FAR <-> far rtt: 0.020 ms (using LAN coordinates)\n",
            "",
        ),
        (&["rtt", "far", "ghost"], 1, "", "Could not find a coordinate for node \"ghost\"\n"),
        (
            &["rtt", "-wan", "node2.dc1"],
            0,
            "Estimated node2.dc1 <-> node1.dc1 rtt: 20.020 ms (using WAN coordinates)\n",
            "",
        ),
        (
            &["rtt", "-wan", "node2.dc2"],
            1,
            "",
            "Could not find a coordinate for node \"node2.dc2\"\n",
        ),
        (
            &["rtt", "-wan", "node2"],
            1,
            "",
            "Node names must be specified as <node name>.<datacenter> with -wan\n",
        ),
    ] {
        let got = shell(&world, line, "");
        assert_eq!(got, (code, out.to_owned(), err.to_owned()), "{line:?}");
    }
    for line in [&["rtt"][..], &["rtt", "a", "b", "c"]] {
        let (code, _, err) = shell(&world, line, "");
        assert_eq!(code, 1);
        assert!(err.starts_with("One or two node names must be specified\n"), "{err}");
    }
}
