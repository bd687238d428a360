//! The digests of a few runs, kept in `tests/data/digests.json`: debug and release, this machine and
//! any other must agree with them. `UPDATE_DIGESTS=1` writes what this build gives.

use std::collections::BTreeMap;
use std::fs;

use crate::runner::{Desk, root};

type Digests = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn the_kept_digests_are_those_of_this_build() {
    let file = root().join("tests/data/digests.json");
    let text = fs::read_to_string(&file).expect("tests/data/digests.json");
    let kept: Digests = serde_json::from_str(&text).expect("scenario, seed, digest");
    let desk = Desk::new();
    let mut found = kept.clone();
    for (scenario, seeds) in &mut found {
        let path = root().join(scenario).display().to_string();
        for (seed, digest) in seeds {
            let arguments = [path.as_str(), "--seed", seed, "--json", "--no-replay", "--no-report"];
            let done = desk.run(arguments);
            assert!(done.code == 0 || done.code == 1, "{scenario}, seed {seed}: {done:?}");
            *digest = done.digest();
        }
    }
    if std::env::var_os("UPDATE_DIGESTS").is_some() {
        let text = serde_json::to_string_pretty(&found).expect("plain data");
        fs::write(&file, text + "\n").expect("tests/data/digests.json is written");
        return;
    }
    let scenarios = kept.values().map(BTreeMap::len).sum::<usize>();
    assert!(scenarios >= 3, "too little is kept to mean anything");
    assert_eq!(found, kept, "when a change of behaviour is meant: UPDATE_DIGESTS=1");
}
