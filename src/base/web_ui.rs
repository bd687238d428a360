//! Where the web UI is served and from what (spec api 8.1).
//!
//! ```text
//!   no folder:  the built-in app answers every path below `path`
//!   a folder:   its files do
//! ```
//!
//! Invariant: the path begins and ends with one `/`, has at least one name between them, and is not the
//! API's. Whether the folder is there is not asked here: it may come later.

use std::path::{Path, PathBuf};

/// The web UI of an agent that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUi {
    path: String,
    dir: Option<PathBuf>,
}

impl Default for WebUi {
    fn default() -> Self {
        Self { path: "/ui/".to_owned(), dir: None }
    }
}

impl WebUi {
    /// At this path, with or without its outer slashes; nothing: at `/ui/`.
    ///
    /// # Errors
    /// Why it cannot be there, for the user.
    pub fn at(path: &str) -> Result<Self, String> {
        if path.is_empty() {
            return Ok(Self::default());
        }
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte);
        if !path.bytes().all(is_good) {
            return Err(format!(
                "ui-content-path can only contain alphanumeric, -, _, or /. received: {path:?}"
            ));
        }
        let inner = path.trim_matches('/');
        if inner.split('/').any(str::is_empty) {
            let text = "must have a name between any two slashes, as /ui/ has";
            return Err(format!("ui-content-path {text}. received: {path:?}"));
        }
        if inner.split('/').next().is_some_and(is_version) {
            return Err(format!("ui-content-path cannot have 'v[0-9]'. received: {path:?}"));
        }
        Ok(Self { path: format!("/{inner}/"), dir: None })
    }

    /// The same with the files of a folder.
    #[must_use]
    pub fn with_dir(self, dir: Option<PathBuf>) -> Self {
        Self { dir, ..self }
    }

    /// `ui_config.content_path`: `/ui/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `ui_config.dir`; none: the built-in app.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }
}

/// `v1` and its like: names of the API.
fn is_version(name: &str) -> bool {
    let digits = name.strip_prefix('v').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_and_ends_with_a_slash() {
        for (said, path) in [
            ("", "/ui/"),
            ("ui", "/ui/"),
            ("/admin", "/admin/"),
            ("//a-b/c_D9//", "/a-b/c_D9/"),
            ("v1x", "/v1x/"),
            ("ui/v1", "/ui/v1/"),
        ] {
            assert_eq!(WebUi::at(said).expect(said).path(), path, "{said}");
        }
    }

    #[test]
    fn a_path_that_cannot_be_is_refused_in_words() {
        for (said, why) in [
            ("a b", "can only contain"),
            ("a/../b", "can only contain"),
            ("{x}", "can only contain"),
            ("é", "can only contain"),
            ("/", "must have a name"),
            ("///", "must have a name"),
            ("a//b", "must have a name"),
            ("v1", "cannot have 'v[0-9]'"),
            ("/v1/ui/", "cannot have 'v[0-9]'"),
        ] {
            let error = WebUi::at(said).expect_err(said);
            assert!(error.starts_with("ui-content-path ") && error.contains(why), "{error}");
            assert!(error.ends_with(&format!("received: {said:?}")), "{error}");
        }
    }
}
