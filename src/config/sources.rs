//! Where configuration comes from: the files and folders of the command line, in its order (spec api 6.1).
//!
//! ```text
//!   -config-file a.hcl ──────────────► a.hcl
//!   -config-dir conf.d ──► by name: 1.json 2.hcl     sub-folders and other names are left out
//! ```
//!
//! Either flag takes a file or a folder. The ending says which language; `-config-format` says it for all,
//! and then every file of a folder is read. Reading is all that happens here: nothing is written, a file of
//! more than [`MAX_BYTES`] is refused, and what cannot be read ends the start rather than being left out.

use std::io::ErrorKind;
use std::mem;
use std::path::{Path, PathBuf};

use crate::base::runtime::{Disk, Runtime};
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use crate::config::{hcl, located_json};

/// So much one file may hold.
const MAX_BYTES: usize = 16 << 20;

/// A language of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Hcl,
}

impl Format {
    /// What `-config-format` names.
    pub(super) fn named(name: Option<&str>) -> Result<Option<Self>, ConfigError> {
        match name {
            None | Some("") => Ok(None),
            Some("json") => Ok(Some(Self::Json)),
            Some("hcl") => Ok(Some(Self::Hcl)),
            Some(_) => {
                Err(ConfigError::new("config: -config-format must be either 'hcl' or 'json'"))
            }
        }
    }

    /// What the ending of a name says.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            _ if name.ends_with(".json") => Some(Self::Json),
            _ if name.ends_with(".hcl") => Some(Self::Hcl),
            _ => None,
        }
    }
}

/// One file, read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) text: String,
}

impl Source {
    /// What it sets; a file of nothing but white space sets nothing.
    pub(super) fn settings(&self) -> Result<Settings, ConfigError> {
        if self.text.trim().is_empty() {
            return Ok(Settings::default());
        }
        let read = match self.format {
            Format::Json => located_json::parse(&self.text),
            Format::Hcl => hcl::parse(&self.text),
        };
        let settings = read.and_then(|root| Settings::from_json(&root));
        let mut settings = settings.map_err(|error| error.in_file(&self.name))?;
        let unfinished = mem::take(&mut settings.unfinished).into_iter();
        settings.unfinished = unfinished.map(|error| error.in_file(&self.name)).collect();
        Ok(settings)
    }
}

/// Reads these files and folders, in this order.
pub(super) async fn read<R: Runtime>(
    runtime: &R,
    paths: &[&str],
    format: Option<Format>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Source>, ConfigError> {
    let mut sources = Vec::new();
    for &path in paths {
        match runtime.disk(Path::new(path)).read_dir("").await {
            Ok(names) => {
                let folder = (Path::new(path), names);
                read_folder(runtime, folder, format, warnings, &mut sources).await?;
            }
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                let Some(format) = format.or(Format::of_name(path)) else {
                    let text = "config: the file must end in .json or .hcl, or -config-format must \
                                say which of them it is";
                    return Err(ConfigError::new(text).in_file(path));
                };
                sources.push(read_file(runtime, Path::new(path), format).await?);
            }
            Err(error) => {
                let why = match error.kind() {
                    ErrorKind::NotFound => format!("open {path}: no such file or directory"),
                    ErrorKind::PermissionDenied => format!("open {path}: permission denied"),
                    _ => error.to_string(),
                };
                return Err(ConfigError::new(format!("config: Open failed on {path}. {why}")));
            }
        }
    }
    Ok(sources)
}

async fn read_folder<R: Runtime>(
    runtime: &R,
    (folder, names): (&Path, Vec<String>),
    format: Option<Format>,
    warnings: &mut Vec<String>,
    sources: &mut Vec<Source>,
) -> Result<(), ConfigError> {
    for name in names {
        if runtime.disk(folder).read_dir(&name).await.is_ok() {
            continue;
        }
        let path = folder.join(&name);
        match format.or(Format::of_name(&name)) {
            Some(format) => sources.push(read_file(runtime, &path, format).await?),
            None => warnings.push(format!(
                "skipping file {}, extension must be .hcl or .json, or config format must be set",
                path.display()
            )),
        }
    }
    Ok(())
}

async fn read_file<R: Runtime>(
    runtime: &R,
    path: &Path,
    format: Format,
) -> Result<Source, ConfigError> {
    let name = path.display().to_string();
    let (folder, file) = parts(path);
    let bytes = runtime
        .disk(&folder)
        .read_at_most(&file, MAX_BYTES)
        .await
        .map_err(|error| ConfigError::new(format!("config: failed to read {name}: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        ConfigError::at(line, "not valid UTF-8").in_file(&name)
    })?;
    Ok(Source { name, format, text })
}

/// The folder that a file is in, and its name there.
fn parts(path: &Path) -> (PathBuf, String) {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_path_buf();
    (folder, path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}
