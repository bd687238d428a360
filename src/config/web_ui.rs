//! Where the web UI is and what it is made of, `ui_config` (spec api 6.2, 8.1).
//!
//! It is on when `ui_config.enabled` says so, when a folder is named, and in dev mode. Whoever switches the
//! built-in one on and names a folder too is asked which of them is meant, as in Consul; dev mode, which
//! switches it on unasked, does not count there.

use std::path::PathBuf;

use crate::base::WebUi;
use crate::config::checked::refuse;
use crate::config::error::ConfigError;
use crate::config::settings::Given;

/// What one source says of it; `ui_config.enabled` is among the settings of the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SaidWebUi {
    dir: Option<String>,
    content_path: Option<String>,
}

impl SaidWebUi {
    /// Takes a key; false: it is not one of these.
    pub(super) fn set(&mut self, key: &str, given: &Given<'_>) -> Result<bool, ConfigError> {
        match key {
            "ui_config.content_path" => {
                let path = given.text()?;
                WebUi::at(&path).map_err(|why| ConfigError::at(given.at.line, why))?;
                self.content_path = Some(path);
            }
            "ui_config.dir" => self.dir = Some(given.text()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Lays a later source over this one.
    pub(super) fn merge(&mut self, later: SaidWebUi) {
        self.dir = later.dir.or(self.dir.take());
        self.content_path = later.content_path.or(self.content_path.take());
    }

    /// What holds then; none: there is no UI.
    pub(super) fn check(
        &self,
        enabled: Option<bool>,
        dev: bool,
    ) -> Result<Option<WebUi>, ConfigError> {
        let dir = self.dir.as_deref().filter(|dir| !dir.is_empty()).map(PathBuf::from);
        if dir.is_some() && enabled == Some(true) && !dev {
            return refuse(
                "Both the ui_config.enabled and ui_config.dir were specified, please provide only one. \
                 If trying to use your own web UI resources, use ui_config.dir. The web UI is included in \
                 the binary so use ui_config.enabled to enable it",
            );
        }
        let is_on = enabled.unwrap_or(dev) || dir.is_some();
        let ui = WebUi::at(self.content_path.as_deref().unwrap_or_default());
        Ok(is_on.then_some(ui.map_err(ConfigError::new)?.with_dir(dir)))
    }
}
