//! `sim-runner list`: scenarios and planted bugs.

use serde_json::json;

use crate::cli::List;
use crate::run::Failed;
use crate::scenario::titles;
use crate::zoo::PLANTS;

use super::print;

/// Prints what there is.
///
/// # Errors
/// A folder that does not exist.
pub fn list(options: &List) -> Result<u8, Failed> {
    if !options.folder.is_dir() {
        let text = format!("{}: not a folder of scenarios", options.folder.display());
        return Err(Failed::Usage(text));
    }
    let scenarios = titles(&options.folder);
    if options.json {
        let scenarios: Vec<_> = scenarios
            .iter()
            .map(|(path, title)| json!({ "path": path.display().to_string(), "title": title }))
            .collect();
        let plants: Vec<_> = PLANTS
            .iter()
            .map(|plant| {
                json!({
                    "name": plant.name,
                    "property": plant.property,
                    "scenario": plant.scenario,
                    "story": plant.story,
                })
            })
            .collect();
        print(&format!("{}\n", json!({ "scenarios": scenarios, "plants": plants })))?;
        return Ok(0);
    }
    let mut text = String::from("Scenarios\n");
    let paths: Vec<String> = scenarios.iter().map(|(path, _)| path.display().to_string()).collect();
    let width = paths.iter().map(String::len).max().unwrap_or(0);
    for (path, (_, title)) in paths.iter().zip(&scenarios) {
        text += &format!("  {path:width$}  {title}\n");
    }
    text += "\nPlanted bugs (--plant NAME), and the property that catches each\n";
    let width = PLANTS.iter().map(|plant| plant.name.len()).max().unwrap_or(0);
    for plant in PLANTS {
        text += &format!("  {:width$}  {}: {}\n", plant.name, plant.property, plant.story);
    }
    print(&text)?;
    Ok(0)
}
