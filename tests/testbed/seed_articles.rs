//! The stories of the articles that people have written about Consul: each holds, whatever the seed.

use std::fs;

use crate::runner::{Desk, root};

/// How many seeds of each; more with `SEEDS` set.
const SEEDS: &str = "0..5";

#[test]
fn the_articles_hold() {
    let seeds = std::env::var("SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let folder = root().join("scenarios/seeds");
    let entries = fs::read_dir(&folder).expect("the folder of the articles");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}", folder.display());
    for path in paths {
        let text = fs::read_to_string(&path).expect("a scenario");
        assert!(text.contains("\nsource = "), "{}: names its article", path.display());
        let desk = Desk::new();
        let path = path.display().to_string();
        let ran = desk.run([path.as_str(), "--seeds", &seeds, "--no-report"]);
        assert_eq!(ran.code, 0, "{path}: {ran:?}");
    }
}
