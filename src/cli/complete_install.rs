//! `-autocomplete-install` and `-autocomplete-uninstall`: lines in the start files of the user's shells
//! that make them ask the program what can follow ([`super::complete`]). `-autocomplete-print` writes what
//! a package puts into the system's folders instead.
//!
//! A shell counts as used if its start file is there. Nothing else in such a file is touched.

use std::io;
use std::path::Path;

use crate::base::runtime::{Disk, File, Runtime};
use crate::cli::{Terminal, files};

/// Where bash reads its start from: the first that is there.
const BASH_FILES: [&str; 4] = [".bashrc", ".bash_profile", ".bash_login", ".profile"];
const ZSH_FILE: &str = ".zshrc";
/// zsh takes bash's way of completion only after this.
const ZSH_PREPARES: &str = "autoload -U +X bashcompinit && bashcompinit";

/// `-autocomplete-print SHELL`.
pub(super) fn print(shell: &str, terminal: &mut Terminal<'_>) -> Result<(), i32> {
    match script(shell) {
        Some(text) => {
            terminal.out(text);
            Ok(())
        }
        None => Err(terminal.fail(format!("no completion for {shell:?}: use bash, zsh or fish"))),
    }
}

/// The completion file of a package, for `proconsul`; none for a shell that is not known.
#[must_use]
pub fn script(shell: &str) -> Option<&'static str> {
    match shell {
        "bash" => Some(
            "# Completion of proconsul for bash: the program itself says what can follow.\n\
             complete -C proconsul proconsul\n",
        ),
        "zsh" => Some(
            "#compdef proconsul\n\
             # Completion of proconsul for zsh: the program itself says what can follow.\n\
             local -a found\n\
             found=(${(f)\"$(COMP_LINE=\"${words[1,CURRENT]}\" proconsul)\"})\n\
             compadd -a found\n",
        ),
        "fish" => Some(FISH),
        _ => None,
    }
}

const FISH: &str = "# Completion of proconsul for fish: the program itself says what can follow.\n\
    function __complete_proconsul\n    \
    set -lx COMP_LINE (commandline -cp)\n    \
    test -z (commandline -ct); and set COMP_LINE \"$COMP_LINE \"\n    \
    proconsul\n\
    end\n\
    complete -f -c proconsul -a \"(__complete_proconsul)\"\n";

/// Installs completion for every shell that is used, or, not wanted, removes it.
pub(super) async fn run<R: Runtime>(
    runtime: &R,
    wanted: bool,
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let failed = |text: String| format!("Error executing CLI: {text}");
    let Some(home) = terminal.env.get("HOME").filter(|home| !home.is_empty()).cloned() else {
        return Err(terminal.fail(failed("HOME is not set".to_owned())));
    };
    let program = terminal.program.clone();
    let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let config = terminal.env.get("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).cloned();
    let fish = format!("{}/fish", config.unwrap_or_else(|| format!("{home}/.config")));
    let disk = runtime.disk(Path::new(&home));
    let mut done = Vec::new();
    for file in BASH_FILES {
        if let Ok(text) = disk.read(file).await {
            let lines = vec![format!("complete -C {program} {name}")];
            let at = format!("{home}/{file}");
            done.push(
                edit(&disk, file, &text, &lines, wanted)
                    .await
                    .map_err(|why| (at.clone(), why))
                    .map(|()| at),
            );
            break;
        }
    }
    if let Ok(text) = disk.read(ZSH_FILE).await {
        let mut lines = vec![format!("complete -o nospace -C {program} {name}")];
        let prepared = String::from_utf8_lossy(&text).lines().any(|line| line == ZSH_PREPARES);
        if wanted && !prepared {
            lines.insert(0, ZSH_PREPARES.to_owned());
        }
        let at = format!("{home}/{ZSH_FILE}");
        let edited = edit(&disk, ZSH_FILE, &text, &lines, wanted).await;
        done.push(edited.map_err(|why| (at.clone(), why)).map(|()| at));
    }
    if runtime.disk(Path::new(&fish)).read_dir("").await.is_ok() {
        let at = format!("{fish}/completions/{name}.fish");
        let placed = place_fish(runtime, &fish, &name, &program, wanted).await;
        done.push(placed.map_err(|why| (at.clone(), why)).map(|()| at));
    }
    if done.is_empty() {
        let text =
            "Did not find any shells to install: no start file of bash, zsh or fish is there";
        return Err(terminal.fail(failed(text.to_owned())));
    }
    let mut result = Ok(());
    for one in done {
        match one {
            Ok(file) if wanted => terminal.line(format!("Completion installed in {file}")),
            Ok(file) => terminal.line(format!("Completion removed from {file}")),
            Err((file, why)) => {
                result = Err(terminal.fail(failed(format!("{} {file}", why.told()))));
            }
        }
    }
    result
}

/// Why a shell's file was left alone.
enum Refused {
    Already,
    NotThere,
    System(io::Error),
}

impl Refused {
    fn told(&self) -> String {
        match self {
            Refused::Already => "already installed in".to_owned(),
            Refused::NotThere => "not installed in".to_owned(),
            Refused::System(error) => format!("{} at", files::reason(error)),
        }
    }
}

/// Adds lines at the end of a file, or takes the last of them away.
async fn edit<D: Disk>(
    disk: &D,
    file: &str,
    text: &[u8],
    lines: &[String],
    wanted: bool,
) -> Result<(), Refused> {
    let own = lines.last().map(String::as_bytes).unwrap_or_default();
    let is_there = text.split(|byte| *byte == b'\n').any(|line| line == own);
    let new = match (wanted, is_there) {
        (true, true) => return Err(Refused::Already),
        (false, false) => return Err(Refused::NotThere),
        (true, false) => {
            let mut new = text.to_vec();
            if !new.is_empty() && !new.ends_with(b"\n") {
                new.push(b'\n');
            }
            lines.iter().for_each(|line| new.extend([line.as_bytes(), b"\n"].concat()));
            new
        }
        (false, true) => {
            let kept = text.split_inclusive(|byte| *byte == b'\n');
            kept.filter(|line| line.trim_ascii_end() != own).collect::<Vec<_>>().concat()
        }
    };
    write(disk, file, &new).await.map_err(Refused::System)
}

async fn write<D: Disk>(disk: &D, name: &str, bytes: &[u8]) -> io::Result<()> {
    let file = disk.open(name, true).await?;
    file.write_at(0, bytes).await?;
    file.set_len(bytes.len() as u64).await?;
    file.sync().await
}

async fn place_fish<R: Runtime>(
    runtime: &R,
    folder: &str,
    name: &str,
    program: &str,
    wanted: bool,
) -> Result<(), Refused> {
    let disk = runtime.disk(Path::new(folder));
    let file = format!("completions/{name}.fish");
    let is_there = disk.read(&file).await.is_ok();
    match (wanted, is_there) {
        (true, true) => Err(Refused::Already),
        (false, false) => Err(Refused::NotThere),
        (false, true) => disk.remove(&file).await.map_err(Refused::System),
        (true, false) => {
            disk.create_dir_all("completions").await.map_err(Refused::System)?;
            let text = FISH
                .replace("__complete_proconsul", "__complete_PROGRAM")
                .replace("    proconsul\n", &format!("    {program}\n"))
                .replace("proconsul", name)
                .replace("__complete_PROGRAM", &format!("__complete_{name}"));
            write(&disk, &file, text.as_bytes()).await.map_err(Refused::System)
        }
    }
}
