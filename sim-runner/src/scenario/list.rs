//! The scenarios of a folder, for `list`.

use std::fs;
use std::path::{Path, PathBuf};

use super::source::load;

/// Path and title of every `.toml` file below a folder, in the order of their paths. A file that is
/// no scenario is listed with the first line of what is wrong with it.
#[must_use]
pub fn titles(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    collect(folder, &mut paths);
    paths.sort();
    let title = |path: &Path| match load(path, &[]) {
        Ok(source) => source.script.title,
        Err(errors) => {
            let text = errors.to_string();
            format!("(not a scenario: {})", text.lines().next().unwrap_or_default())
        }
    };
    paths.into_iter().map(|path| (path.clone(), title(&path))).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        // The entry's own type: a link to a folder is not followed, so there are no loops.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
}
