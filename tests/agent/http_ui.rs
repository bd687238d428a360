//! The web UI over HTTP (spec api 8.1): where it is, what of it is served from a folder, and what is not.

use std::io::ErrorKind;
use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use hyper::Request;
use proconsul::base::WebUi;
use proconsul::http::{Identity, Policy, router};
use tower_service::Service;

use crate::http_store::{StoreBackend, now};

/// What a browser gets.
struct Got {
    status: u16,
    headers: hyper::HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn ask(router: &Router, line: &str) -> Got {
    let (method, target) = line.split_once(' ').expect("METHOD PATH");
    let request = Request::builder().method(method).uri(target);
    let request = request.body(Body::empty()).expect("a valid request");
    let response = now(router.clone().call(request)).expect("the router does not fail");
    let (parts, body) = response.into_parts();
    let body = now(body.collect()).expect("a body that does not fail").to_bytes().to_vec();
    Got { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn with(ui: WebUi) -> Router {
    router(&StoreBackend::new(Identity { ui: Some(ui), ..Identity::server("n1") }))
}

/// An agent whose UI is in a folder with these files.
fn with_files(files: &[(&str, Result<&[u8], ErrorKind>)]) -> Router {
    let ui = WebUi::default().with_dir(Some(PathBuf::from("dist")));
    let backend = StoreBackend::new(Identity { ui: Some(ui), ..Identity::server("n1") });
    let files = files.iter().map(|(name, file)| ((*name).to_owned(), file.map(<[u8]>::to_vec)));
    backend.shared().ui_files = files.collect();
    router(&backend)
}

const APP: &str = "<title>Proconsul</title>";

#[test]
fn the_page_is_there_when_it_is_on() {
    let off = router(&StoreBackend::new(Identity::server("n1")));
    let root = ask(&off, "GET /");
    assert_eq!((root.status, root.text().as_str()), (200, "Consul Agent"));
    for path in ["/ui", "/ui/", "/ui/dc1/services", "/robots.txt"] {
        assert_eq!(ask(&off, &format!("GET {path}")).status, 404, "{path}");
    }
    let on = with(WebUi::default());
    for (line, to) in [
        ("GET /", "/ui/"),
        ("HEAD /", "/ui/"),
        ("GET /ui", "/ui/"),
        ("GET /ui?filter=a%20b", "/ui/?filter=a%20b"),
        ("GET /ui//dc1/../x", "/ui/x"),
        ("GET /ui/%2e%2e/%2e%2e/etc/passwd", "/etc/passwd"),
    ] {
        let moved = ask(&on, line);
        assert_eq!((moved.status, moved.header("location")), (301, to), "{line}");
    }
    for path in ["/ui/", "/ui/dc1/services", "/ui/dc1/kv/a%20b%25/edit", "/ui/no/such.js"] {
        let page = ask(&on, &format!("GET {path}"));
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.text().contains(APP), "{path}");
    }
    let head = ask(&on, "HEAD /ui/");
    let length = ask(&on, "GET /ui/").body.len().to_string();
    assert_eq!((head.status, head.header("content-length")), (200, length.as_str()));
    assert_eq!(head.text(), "");
    let post = ask(&on, "POST /ui/");
    assert_eq!((post.status, post.header("allow")), (405, "GET,HEAD"));
    assert_eq!(ask(&on, "GET /ui/%zz").status, 400);
    assert_eq!(ask(&on, "GET /ui/%00").status, 400);
    assert_eq!(ask(&on, "GET /robots.txt").text(), "User-agent: *\nDisallow: /\n");
    assert_eq!(ask(&on, "GET /elsewhere").status, 404);
}

#[test]
fn the_page_says_where_it_is_and_allows_nothing_from_outside() {
    let on = with(WebUi::at("admin/consul").expect("a path"));
    assert_eq!(ask(&on, "GET /").header("location"), "/admin/consul/");
    assert_eq!(ask(&on, "GET /admin/consul").header("location"), "/admin/consul/");
    assert_eq!(ask(&on, "GET /ui/").status, 404);
    assert_eq!(ask(&on, "GET /admin/").status, 404);
    let page = ask(&on, "GET /admin/consul/dc1/nodes");
    assert!(page.text().contains("data-path=\"/admin/consul/\" data-datacenter=\"dc1\""));
    for left in ["{datacenter}", "{style}", "{script}", "://"] {
        let outside = page.text().replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains(left), "{left}");
    }
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    // The operator's own headers are there, and stand in for ours.
    let own = [("Content-Security-Policy", "frame-ancestors *"), ("X-Extra", "yes")];
    let response_headers = own.map(|(name, it)| (name.to_owned(), it.to_owned())).to_vec();
    let policy = Policy { response_headers, ..Policy::default() };
    let identity = Identity { policy, ui: Some(WebUi::default()), ..Identity::server("n1") };
    let page = ask(&router(&StoreBackend::new(identity)), "GET /ui/");
    assert_eq!(page.header("content-security-policy"), "frame-ancestors *");
    assert_eq!(page.header("x-extra"), "yes");
}

#[test]
fn a_folder_serves_its_files() {
    let router = with_files(&[
        ("index.html", Ok(b"<p>own</p>")),
        ("assets/app.JS", Ok(b"go()")),
        ("assets/a b%.css", Ok(b"a{}")),
        ("LICENSE", Ok(b"free")),
        ("blob", Ok(b"\0\x01")),
        ("docs", Err(ErrorKind::IsADirectory)),
        ("docs/index.html", Ok(b"docs")),
        ("secret", Err(ErrorKind::PermissionDenied)),
        ("huge.iso", Err(ErrorKind::FileTooLarge)),
        ("bad", Err(ErrorKind::Other)),
    ]);
    for (path, content_type, text) in [
        ("", "text/html; charset=utf-8", "<p>own</p>"),
        ("index.html", "text/html; charset=utf-8", "<p>own</p>"),
        ("assets/app.JS", "text/javascript; charset=utf-8", "go()"),
        ("assets/a%20b%25.css", "text/css; charset=utf-8", "a{}"),
        ("LICENSE", "text/plain; charset=utf-8", "free"),
        ("blob", "application/octet-stream", "\0\x01"),
        ("docs/", "text/html; charset=utf-8", "docs"),
        // What is not there is a route of the folder's own app.
        ("dc1/services", "text/html; charset=utf-8", "<p>own</p>"),
        ("assets/", "text/html; charset=utf-8", "<p>own</p>"),
        // Decoded once.
        ("%252e%252e/x", "text/html; charset=utf-8", "<p>own</p>"),
    ] {
        let got = ask(&router, &format!("GET /ui/{path}"));
        assert_eq!(
            (got.status, got.header("content-type"), got.text().as_str()),
            (200, content_type, text),
            "{path}"
        );
        let head = ask(&router, &format!("HEAD /ui/{path}"));
        let length = text.len().to_string();
        assert_eq!((head.status, head.header("content-length")), (200, length.as_str()), "{path}");
        assert_eq!(head.text(), "", "{path}");
    }
    for (path, to) in
        [("docs", "/ui/docs/"), ("a/../../b", "/b"), ("a%2f..%2f..%2fb", "/b"), ("a//b", "/ui/a/b")]
    {
        let moved = ask(&router, &format!("GET /ui/{path}"));
        assert_eq!((moved.status, moved.header("location")), (301, to), "{path}");
    }
    for (path, status, why) in [
        ("secret", 403, "secret: the agent may not read this file\n"),
        ("huge.iso", 500, "huge.iso: larger than 16777216 bytes, which is not served\n"),
        ("bad", 500, "bad: cannot be read: other error\n"),
        ("a%00b", 400, ""),
    ] {
        let got = ask(&router, &format!("GET /ui/{path}"));
        assert_eq!((got.status, got.text().as_str()), (status, why), "{path}");
    }
    assert_eq!(ask(&router, "PUT /ui/index.html").status, 405);
    assert_eq!(ask(&router, "GET /robots.txt").text(), "User-agent: *\nDisallow: /\n");
}

#[test]
fn a_folder_without_an_index_serves_its_files_alone() {
    let router = with_files(&[("a.txt", Ok(b"a")), ("robots.txt", Ok(b"User-agent: b"))]);
    assert_eq!(ask(&router, "GET /ui/a.txt").text(), "a");
    assert_eq!(ask(&router, "GET /robots.txt").text(), "User-agent: b");
    for path in ["", "dc1/services", "a.txt/x", "docs/"] {
        let got = ask(&router, &format!("GET /ui/{path}"));
        assert_eq!((got.status, got.text().as_str()), (404, "404 page not found\n"), "{path}");
    }
}

#[test]
fn files_on_their_way_share_room() {
    let large = vec![b'x'; 16 << 20];
    let router = with_files(&[("large", Ok(&large)), ("small", Ok(b"x"))]);
    let start = || {
        let request = Request::builder().uri("/ui/large").body(Body::empty()).expect("valid");
        now(router.clone().call(request)).expect("the router does not fail")
    };
    let sent: Vec<_> = (0..8).map(|_| start()).collect();
    assert!(sent.iter().all(|it| it.status() == 200));
    assert_eq!(start().status(), 503);
    assert_eq!(ask(&router, "GET /ui/small").status, 200);
    drop(sent);
    assert_eq!(start().status(), 200);
}
