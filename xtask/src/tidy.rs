//! `cargo xtask test`: checks that rustfmt and clippy do not make: the width of comments, and type
//! names that mean two things.
//!
//! It reads the sources as text and trusts rustfmt for their layout. It changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::steps::{Failed, files, top};

/// Columns of a comment line. rustfmt wraps code, but not comments.
const COMMENT_WIDTH: usize = 100;

/// Names whose definitions below one folder count as one, each with the reason.
const ALLOWED: [Allowed; 0] = [];

/// An entry of [`ALLOWED`].
struct Allowed {
    name: &'static str,
    folder: &'static str,
    reason: &'static str,
}

/// Makes both checks, so that one run shows everything.
pub(crate) fn check() -> Result<(), Failed> {
    println!("xtask: comments have at most {COMMENT_WIDTH} columns, and a type name is defined once");
    let mut complaints = comments()?;
    complaints.extend(type_names()?);
    match complaints[..] {
        [] => Ok(()),
        _ => Err(Failed(complaints.join("\n"))),
    }
}

/// Comment lines of the project that are too wide, and their number at the end.
fn comments() -> Result<Vec<String>, Failed> {
    let mut wide = Vec::new();
    for path in files(&top(), &|name| name.ends_with(".rs")) {
        let lines = wide_comments(&read(&path)?);
        wide.extend(lines.into_iter().map(|(number, width)| format!("  {}:{number}: {width}", inside(&path))));
    }
    Ok(counted(wide, "comment lines are too wide"))
}

/// Type names that are visible outside of their module and mean two things, and their number at the
/// end.
fn type_names() -> Result<Vec<String>, Failed> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in source_folders() {
        let (mut sources, mut of_tests) = (Vec::new(), BTreeSet::new());
        for path in files(&folder, &|name| name.ends_with(".rs")) {
            let source = Source::of(&read(&path)?);
            of_tests.extend(source.test_modules.iter().map(|module| children(&path).join(module)));
            sources.push((path, source));
        }
        // `tests.rs`, `tests/mod.rs`, and every file below such a module.
        let is_of_tests = |path: &Path| of_tests.iter().any(|module| path.with_extension("").starts_with(module));
        for (path, source) in sources.into_iter().filter(|(path, _)| !is_of_tests(path)) {
            for (number, name) in source.types {
                found.entry(name).or_default().push(format!("{}:{number}", inside(&path)));
            }
        }
    }
    Ok(counted(doubles(&found, &ALLOWED), "type names are not defined once"))
}

fn counted(mut complaints: Vec<String>, what: &str) -> Vec<String> {
    if !complaints.is_empty() {
        complaints.push(format!("xtask: {} {what}", complaints.len()));
    }
    complaints
}

fn read(path: &Path) -> Result<String, Failed> {
    fs::read_to_string(path).map_err(|error| Failed(format!("xtask: {}: {error}", path.display())))
}

/// A path from the top of the project.
fn inside(path: &Path) -> String {
    path.strip_prefix(top()).unwrap_or(path).display().to_string()
}

/// Folders with sources of the workspace, without integration tests.
fn source_folders() -> Vec<PathBuf> {
    let crates = fs::read_dir(top().join("crates")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<_> = crates.map(|folder| folder.join("src")).collect();
    folders.extend(["src", "xtask/src", "benches/src", "fuzz/src"].map(|folder| top().join(folder)));
    folders.sort();
    folders
}

/// The folder where the modules of a file lie: beside `mod.rs`, `lib.rs` and `main.rs`, else in the
/// folder that has the file's name.
fn children(file: &Path) -> PathBuf {
    match file.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => file.parent().unwrap_or(file).to_owned(),
        _ => file.with_extension(""),
    }
}

/// Numbers and widths of the comment lines that are too wide. A URL alone on its line cannot be
/// wrapped.
fn wide_comments(text: &str) -> Vec<(usize, usize)> {
    let lines = (1..).zip(text.lines());
    let wide = lines.map(|(number, line)| (number, line, line.chars().count()));
    let wide = wide.filter(|(_, line, width)| *width > COMMENT_WIDTH && is_wrappable_comment(line));
    wide.map(|(number, _, width)| (number, width)).collect()
}

fn is_wrappable_comment(line: &str) -> bool {
    let Some(comment) = line.trim_start().strip_prefix("//") else { return false };
    let text = comment.trim_start_matches(['/', '!']).trim();
    let url = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    let is_url = url.starts_with("https://") || url.starts_with("http://");
    !is_url || url.contains(char::is_whitespace)
}

/// Types and test modules of one file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Source {
    /// Line and name of each type that is visible outside of its module.
    types: Vec<(usize, String)>,
    /// Names of `#[cfg(test)] mod name;`.
    test_modules: Vec<String>,
}

impl Source {
    fn of(text: &str) -> Self {
        let mut found = Self::default();
        let mut is_test = false;
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            let code = line.trim_start();
            if code.starts_with("#[cfg(test)]") || code.starts_with("#[cfg(all(test,") {
                is_test = true;
                continue;
            }
            // Attributes and documentation may stand between.
            if is_test && (code.starts_with("#[") || code.starts_with("//")) {
                continue;
            }
            let only_for_tests = std::mem::take(&mut is_test);
            if only_for_tests && code.ends_with('{') {
                // rustfmt puts the end of an item under its beginning.
                let end = format!("{}}}", &line[..line.len() - code.len()]);
                lines.by_ref().take_while(|(_, line)| *line != end).for_each(drop);
            } else if only_for_tests {
                found.test_modules.extend(module(code).map(str::to_owned));
            } else if let Some(name) = visible_type(code) {
                found.types.push((number, name.to_owned()));
            }
        }
        found
    }
}

/// The name in `mod name;`, `pub(crate) mod name;`.
fn module(code: &str) -> Option<&str> {
    let code = after_visibility(code).unwrap_or(code);
    code.strip_prefix("mod ")?.strip_suffix(';')
}

/// The name of a type whose definition starts here, if it is visible outside of its module.
fn visible_type(code: &str) -> Option<&str> {
    let code = after_visibility(code)?;
    let code = code.strip_prefix("unsafe ").unwrap_or(code);
    let keywords = ["struct ", "enum ", "union ", "trait ", "type "];
    let rest = keywords.iter().find_map(|keyword| code.strip_prefix(keyword))?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    // `$name` in a macro is no name.
    (end > 0).then(|| &rest[..end])
}

/// The rest of a line behind `pub`, `pub(crate)`, `pub(super)`, `pub(in …)`.
fn after_visibility(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("pub")?;
    match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(") ").map(|(_, rest)| rest),
        None => rest.strip_prefix(' '),
    }
}

/// Names that are defined more than once, and allowances that are not needed or have no reason.
fn doubles(found: &BTreeMap<String, Vec<String>>, allowed: &[Allowed]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, places) in found {
        let folder = allowed.iter().find(|allowed| allowed.name == name).map(|allowed| allowed.folder);
        let (within, elsewhere): (Vec<_>, Vec<_>) =
            places.iter().partition(|place| folder.is_some_and(|folder| place.starts_with(folder)));
        if elsewhere.len() + usize::from(!within.is_empty()) > 1 {
            complaints.push(format!("  {name}: {}", places.join(", ")));
        }
    }
    for Allowed { name, folder, reason } in allowed {
        let places = found.get(*name).map_or(0, |places| places.iter().filter(|p| p.starts_with(folder)).count());
        if places < 2 {
            complaints.push(format!("  {name} is defined once below {folder} now: take it out of ALLOWED"));
        }
        if reason.is_empty() {
            complaints.push(format!("  {name} is allowed without a reason"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_as_wide_as_its_characters() {
        let wide = |start: &str, columns: usize| format!("{start}{}\n", "ä".repeat(columns - start.len()));
        for start in ["// ", "/// ", "//! ", "    // "] {
            assert_eq!(wide_comments(&wide(start, 100)), [], "{start}");
            assert_eq!(wide_comments(&format!("\n{}", wide(start, 101))), [(2, 101)], "{start}");
        }
        assert_eq!(wide_comments(&wide("let text = ", 120)), [], "code is rustfmt's");
    }

    #[test]
    fn a_url_alone_on_its_line_may_be_wide() {
        let url = format!("https://example.test/{}", "a".repeat(100));
        for line in [format!("// {url}"), format!("    /// <{url}>"), format!("//! {url}")] {
            assert_eq!(wide_comments(&line), [], "{line}");
        }
        assert_eq!(wide_comments(&format!("// see {url}")).len(), 1);
        assert_eq!(wide_comments(&format!("// {url} and more")).len(), 1);
    }

    #[test]
    fn types_are_found_by_their_visibility() {
        for (line, name) in [
            ("pub struct A;", Some("A")),
            ("pub(crate) enum Ab_1<T> {", Some("Ab_1")),
            ("pub(super) union A {", Some("A")),
            ("pub(in crate::tcp) type A = u8;", Some("A")),
            ("pub unsafe trait A: Send {", Some("A")),
            ("    pub(crate) struct Inner(u8);", Some("Inner")),
            ("struct Private;", None),
            ("type Associated = u8;", None),
            ("pub fn structure() {}", None),
            ("pub struct $name;", None),
            ("pub use other::Struct;", None),
            ("/// pub struct InDocumentation;", None),
        ] {
            let found = Source::of(line).types;
            assert_eq!(found.first().map(|(_, name)| name.as_str()), name, "{line}");
        }
    }

    #[test]
    fn what_is_for_tests_does_not_count() {
        let text = [
            "pub struct Before;",
            "#[cfg(test)]",
            "#[expect(dead_code, reason = \"…\")]",
            "mod tests {",
            "    pub struct Inside;",
            "    mod deeper {",
            "        pub struct Deeper;",
            "    }",
            "}",
            "pub struct Behind;",
            "#[cfg(test)]",
            "mod rows;",
            "#[cfg(test)]",
            "pub(crate) mod model;",
            "mod shipped;",
            "#[cfg(test)]",
            "use std::fmt;",
            "pub struct Last;",
        ];
        let source = Source::of(&text.join("\n"));
        let names: Vec<_> = source.types.iter().map(|(number, name)| (*number, name.as_str())).collect();
        assert_eq!(names, [(1, "Before"), (10, "Behind"), (18, "Last")]);
        assert_eq!(source.test_modules, ["rows", "model"]);
    }

    #[test]
    fn modules_lie_beside_mod_rs_or_in_a_folder_of_the_name() {
        for (file, folder) in
            [("src/lib.rs", "src"), ("src/main.rs", "src"), ("src/tcp/mod.rs", "src/tcp"), ("src/a.rs", "src/a")]
        {
            assert_eq!(children(Path::new(file)), Path::new(folder), "{file}");
        }
    }

    #[test]
    fn a_double_is_named_with_its_places_unless_it_is_allowed() {
        let places = |places: &[&str]| places.iter().map(|&place| place.to_owned()).collect::<Vec<_>>();
        let found = BTreeMap::from([
            ("Double".to_owned(), places(&["src/a.rs:1", "src/b.rs:2"])),
            ("Single".to_owned(), places(&["src/a.rs:3"])),
        ]);
        let allow = |name, folder, reason| Allowed { name, folder, reason };
        assert_eq!(doubles(&found, &[]), ["  Double: src/a.rs:1, src/b.rs:2"]);
        assert_eq!(doubles(&found, &[allow("Double", "src/", "a reason")]), [""; 0]);
        assert_eq!(doubles(&found, &[allow("Double", "src/", "")]), ["  Double is allowed without a reason"]);
        assert_eq!(
            doubles(&found, &[allow("Double", "src/", "a reason"), allow("Single", "src/", "a reason")]),
            ["  Single is defined once below src/ now: take it out of ALLOWED"]
        );
        // An allowance is for its folder alone.
        let found = BTreeMap::from([("Double".to_owned(), places(&["crates/c.rs:1", "src/a.rs:1", "src/b.rs:2"]))]);
        assert_eq!(doubles(&found, &[allow("Double", "src/", "a reason")]).len(), 1);
    }
}
