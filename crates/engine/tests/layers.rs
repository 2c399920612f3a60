//! Who may import whom, as ARCHITECTURE.md says it: between crates, and inside the engine. No arrow
//! goes back.
//!
//! Reads the page, the manifests and the sources as text.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

const PAGE: &str = include_str!("../../../ARCHITECTURE.md");

/// The rows of the table whose head begins with `title`: a name, and the names it may use.
fn table(title: &str) -> BTreeMap<String, Vec<String>> {
    let head = format!("| {title} |");
    let rows = PAGE.lines().skip_while(|line| !line.starts_with(&head)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').collect();
        let allowed = if cells[2].trim() == "everything" { vec!["*".to_owned()] } else { names(cells[2]) };
        (names(cells[1]).remove(0), allowed)
    })
    .collect()
}

#[test]
fn every_import_inside_the_engine_is_in_the_table() {
    let layers = table("module of the engine");
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut seen, mut wrong, mut met) = (0, Vec::new(), BTreeMap::<String, Vec<String>>::new());
    for path in sources(&src) {
        let relative = path.strip_prefix(&src).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let is_test = |part: &std::ffi::OsStr| ["tests", "tests.rs", "models.rs"].iter().any(|name| part == *name);
        if module == "lib" || relative.components().any(|part| is_test(part.as_os_str())) {
            continue;
        }
        let Some(allowed) = layers.get(module) else { panic!("module `{module}` is not in the table") };
        met.entry(module.to_owned()).or_default();
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            // Unit tests stand last and may use what they like.
            if line == "mod tests {" {
                break;
            }
            let code = line.split("//").next().unwrap_or("");
            for used in code.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                seen += 1;
                if used != module && !allowed.contains(&used) && allowed != &["*"] {
                    wrong.push(format!("{}:{}: `{module}` may not use `{used}`", relative.display(), number + 1));
                }
                met.get_mut(module).unwrap().push(used);
            }
        }
    }
    assert!(seen > 50, "only {seen} imports were found: the reader of this test is broken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (module, allowed) in layers {
        let met = met.remove(&module).unwrap_or_else(|| panic!("there is no module `{module}`"));
        let unused: Vec<_> = allowed.iter().filter(|name| *name != "*" && !met.contains(name)).collect();
        assert!(unused.is_empty(), "the table lets `{module}` use {unused:?}, which it does not");
    }
}

#[test]
fn every_dependency_between_crates_is_in_the_table() {
    let mut crates = table("crate");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for entry in fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let allowed = crates.remove(&name).unwrap_or_else(|| panic!("crate `{name}` is not in the table"));
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let mut section = "";
        let mut met = Vec::new();
        for line in manifest.lines() {
            if line.starts_with('[') {
                section = line;
            }
            // What tests use is no part of the house.
            if let Some(used) = line.strip_prefix("sniffer-").filter(|_| section == "[dependencies]") {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric()).collect();
                assert!(allowed.contains(&used), "`{name}` may not depend on `{used}`");
                met.push(used);
            }
        }
        let unused: Vec<_> = allowed.iter().filter(|used| !met.contains(used)).collect();
        assert!(unused.is_empty(), "the table lets `{name}` depend on {unused:?}, which it does not");
    }
    assert!(crates.is_empty(), "there are no crates {:?}", crates.keys());
}

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn sources(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let paths = WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "rs"))
}
