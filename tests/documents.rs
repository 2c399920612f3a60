//! The documents are true: names, policies, links, commands and shown output match the project.
//!
//! The pages are read as text. Next: `docs/README.md`, which lists the pages.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sniffer_engine::anomaly::Anomaly;
use sniffer_engine::ledger::Fate;
use sniffer_packet::fate::FrameFate;
use walkdir::{DirEntry, WalkDir};

#[test]
fn supported_names_every_anomaly_and_every_fate() {
    let page = read("SUPPORTED.md");
    let names = Anomaly::ALL.iter().map(|a| a.name());
    let names = names.chain(Fate::ALL.iter().map(|f| f.name())).chain(FrameFate::ALL.iter().map(|f| f.name()));
    let missing: Vec<_> = names.filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "SUPPORTED.md does not name {missing:?}");
}

#[test]
fn every_policy_that_a_source_cites_has_a_heading() {
    let page = read("docs/policies.md");
    let headings: Vec<u32> = headings(&page).filter_map(policy_of).collect();
    let expected: Vec<u32> = (1..=headings.len() as u32).collect();
    assert_eq!(headings, expected, "docs/policies.md numbers its policies from 1 without a hole");
    let (mut citations, mut unknown) = (0, Vec::new());
    for path in sources() {
        for number in cited(&fs::read_to_string(&path).unwrap()) {
            citations += 1;
            if !headings.contains(&number) {
                unknown.push(format!("{}: policy {number}", inside(&path)));
            }
        }
    }
    assert!(citations >= 100, "only {citations} citations were found");
    assert!(unknown.is_empty(), "cited, but docs/policies.md has no such heading:\n{}", unknown.join("\n"));
}

#[test]
fn every_note_on_speed_that_a_source_names_has_a_heading_and_every_forced_inlining_a_note() {
    let page = read("benches/NOTES.md");
    let tags: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("## NOTES#")).collect();
    let (mut named, mut wrong) = (0, Vec::new());
    for path in sources().into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
        let (text, file) = (fs::read_to_string(&path).unwrap(), inside(&path));
        for tag in text.split("NOTES#").skip(1) {
            let tag: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            named += 1;
            if !tag.is_empty() && !tags.contains(&*tag) {
                wrong.push(format!("{file}: NOTES#{tag} has no heading"));
            }
        }
        if !file.starts_with("tests/") && text.contains("#[inline(always)]") && !page.contains(&file) {
            wrong.push(format!("{file}: forces inlining and is not in the notes"));
        }
    }
    assert!(named >= 30, "only {named} notes are named");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_citation_may_name_several_policies_and_go_over_the_end_of_a_line() {
    for (text, numbers) in [
        ("(policy 5)", &[5][..]),
        ("// Policies 5 and 15. Lost are 36 bytes.", &[5, 15]),
        ("(policies 1–4, 7)", &[1, 2, 3, 4, 7]),
        ("policies 12 to 14 say", &[12, 13, 14]),
        ("# Policies 6, 15 and 16.", &[6, 15, 16]),
        ("    /// dropped by its peer (policy\n    /// 2).", &[2]),
        ("no policy is cited, nor is policy.rs", &[]),
    ] {
        assert_eq!(cited(text), numbers, "{text}");
    }
}

#[test]
fn the_readme_fits_into_150_lines() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "README.md has {lines} lines; move the rest into docs/");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let (mut links, mut broken) = (0, Vec::new());
    for name in pages() {
        let page = read(&name);
        for link in links_of(&page) {
            links += 1;
            if let Err(why) = follow(&name, link) {
                broken.push(format!("{name}: {link}: {why}"));
            }
        }
        broken.extend(undefined_references(&page).map(|id| format!("{name}: [{id}] is used and not defined")));
    }
    assert!(links >= 200, "only {links} links were found");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn every_page_of_the_manual_is_in_both_lists() {
    for list in ["README.md", "docs/README.md"] {
        let text = read(list);
        let linked: BTreeSet<_> = links_of(&text).map(|link| link.trim_start_matches("docs/")).collect();
        for page in pages().iter().filter_map(|page| page.strip_prefix("docs/")).filter(|page| *page != "README.md") {
            assert!(linked.contains(page), "{list} does not link to docs/{page}");
        }
    }
}

#[test]
fn commands_in_the_pages_use_options_that_exist() {
    let (mut checked, mut wrong) = (0, Vec::new());
    for name in pages() {
        for command in commands(&read(&name)) {
            checked += 1;
            if let Err(why) = is_understood(&command) {
                wrong.push(format!("{name}: {}: {why}", command.join(" ")));
            }
        }
    }
    assert!(checked >= 30, "only {checked} commands were found");
    assert!(wrong.is_empty(), "commands with unknown options:\n{}", wrong.join("\n"));
}

#[test]
fn a_command_with_an_option_that_does_not_exist_is_refused() {
    for (line, understood) in [
        ("sniffer replay -f html -o x.html x.pcap", true),
        ("sniffer replay --stats=json -- --odd-name", true),
        ("sniffer replay --no-such-option x.pcap", false),
        ("sniffer replay -z x.pcap", false),
        ("sniffer no-such-command", false),
        ("cargo run --release -- replay --frames x.pcap", true),
        ("cargo run --release -- replay --no-such-option x.pcap", false),
        ("sudo tcpdump -i any -w - | sniffer replay --no-such-option -", false),
        ("cargo xtask test", true),
        ("cargo xtask no-such-command", false),
    ] {
        let commands = commands(&format!("```sh\n{line}\n```\n"));
        assert_eq!(commands.len(), 1, "{line}");
        assert_eq!(is_understood(&commands[0]).is_ok(), understood, "{line}");
    }
}

#[test]
fn every_option_of_a_command_is_on_its_page() {
    let pages = [
        ("replay", "docs/use.md"),
        ("live", "docs/live.md"),
        ("why", "docs/accounts.md"),
        ("perturb", "docs/talk.md"),
        ("talk", "docs/talk.md"),
        ("verify", "docs/talk.md"),
    ];
    // The same in every command, or explained with the outputs.
    let left_to_the_help = ["--help", "--version", "--verbose", "--output"];
    for (command, page) in pages {
        let text = read(page);
        for option in options_of(command).iter().filter(|option| option.starts_with("--")) {
            let known = text.contains(option.as_str()) || left_to_the_help.contains(&option.as_str());
            assert!(known, "{page} does not say what {option} of sniffer {command} does");
        }
    }
}

#[test]
fn shown_output_is_what_comes_out() {
    let (mut shown, mut wrong) = (0, Vec::new());
    for name in pages() {
        for (line, want) in sessions(&read(&name)) {
            let command = words(&line);
            let Some(arguments) = arguments_of(&command) else { continue };
            shown += 1;
            let have = output(arguments);
            if !is_shown(&want, &have) {
                wrong.push(format!("{name}: $ {line}\n{have}"));
            }
        }
    }
    assert!(shown >= 3, "only {shown} commands are shown with their output");
    assert!(wrong.is_empty(), "this comes out:\n{}", wrong.join("\n"));
}

#[test]
fn the_message_that_is_shown_is_one_that_comes_out() {
    let output = common::replay([common::capture("real/nginx-keepalive.pcap")]);
    let messages = common::messages(&output.stdout);
    for name in ["README.md", "docs/message.md"] {
        let page = read(name);
        let block = blocks(&page).find(|block| block.language == "json").unwrap();
        // The order of keys counts; line breaks do not.
        let shown = block.lines.iter().map(|line| line.trim_start()).collect::<String>();
        let shown: serde_json::Map<_, _> = serde_json::from_str(&shown).unwrap();
        let same = |message: &serde_json::Map<_, _>| *message == shown && message.keys().eq(shown.keys());
        assert!(messages.iter().any(same), "{name} shows a message that does not come out");
    }
}

// Citations of policies.

/// Returns the policies that a text cites: "policy 5", "policies 1–4, 7", "policies 15 and 16".
fn cited(text: &str) -> Vec<u32> {
    let text = joined(text);
    let lower = text.to_lowercase();
    let mut found = Vec::new();
    for word in ["policy ", "policies "] {
        for (at, _) in lower.match_indices(word) {
            let mut rest = &lower[at + word.len()..];
            while let Some((number, behind)) = leading_number(rest) {
                found.push(number);
                rest = behind;
                let range = ["–", "-", " to "].iter().find_map(|mark| rest.strip_prefix(mark));
                if let Some((last, behind)) = range.and_then(leading_number) {
                    found.extend(number + 1..=last);
                    rest = behind;
                }
                let next = [", ", " and "].iter().find_map(|mark| rest.strip_prefix(mark));
                rest = next.unwrap_or_default();
            }
        }
    }
    found
}

/// Joins the lines of a text, without comment marks at the start of lines.
fn joined(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches(['/', '!', '#']).trim());
    lines.collect::<Vec<_>>().join(" ")
}

fn leading_number(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// Returns the files that may cite a policy.
fn sources() -> Vec<PathBuf> {
    let folders = ["crates", "src", "tests", "benches", "xtask", "fuzz", "corpus"];
    folders.iter().flat_map(|folder| files(&common::top().join(folder), &["rs", "talk", "ts"])).collect()
}

/// Returns the number in a heading "Policy 5: …".
fn policy_of(heading: &str) -> Option<u32> {
    heading.strip_prefix("Policy ")?.split_once(": ")?.0.parse().ok()
}

// Pages as text.

fn read(page: &str) -> String {
    fs::read_to_string(common::top().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Returns the headings of a page, without their marks.
fn headings(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter_map(move |line| {
        fenced ^= line.starts_with("```");
        let text = line.trim_start_matches('#');
        (!fenced && text.len() < line.len()).then_some(text.strip_prefix(' ')).flatten()
    })
}

/// Returns a path relative to the top of the project.
fn inside(path: &Path) -> String {
    path.strip_prefix(common::top()).unwrap_or(path).display().to_string()
}

/// Returns the files under a folder with these extensions, sorted. Skips build output.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let is_output = |entry: &DirEntry| ["target", "node_modules", "dist"].iter().any(|name| entry.file_name() == *name);
    let entries = WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(|entry| !is_output(entry));
    let paths = entries.map(|entry| entry.unwrap().into_path());
    paths.filter(|path| path.extension().is_some_and(|e| extensions.iter().any(|extension| e == *extension))).collect()
}

/// Returns the paths of the pages that are checked, relative to the top.
fn pages() -> Vec<String> {
    let found = files(&common::top().join("docs"), &["md"]);
    let top = ["README.md", "SUPPORTED.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "corpus/TALK.md"];
    top.into_iter().map(str::to_owned).chain(found.iter().map(|path| inside(path))).collect()
}

/// A fenced code block.
struct Block<'a> {
    language: &'a str,
    lines: Vec<&'a str>,
}

fn blocks(page: &str) -> impl Iterator<Item = Block<'_>> {
    let mut lines = page.lines();
    std::iter::from_fn(move || {
        let language = lines.by_ref().find_map(|line| line.strip_prefix("```"))?;
        Some(Block { language, lines: lines.by_ref().take_while(|line| !line.starts_with("```")).collect() })
    })
}

// Links.

/// Returns the targets of the links of a page: `[text](target)` and `[id]: target`, outside of
/// code. Skips links to other sites.
fn links_of(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    let lines = page.lines().filter(move |line| {
        fenced ^= line.starts_with("```");
        !fenced
    });
    lines.flat_map(targets).filter(|target| !target.contains("://"))
}

fn targets(line: &str) -> Vec<&str> {
    if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
        return vec![target.trim()];
    }
    // Every second part is between back ticks.
    let plain = line.split('`').step_by(2);
    let ends = plain.flat_map(|part| part.split("](").skip(1)).chain(line.split("`](").skip(1));
    ends.filter_map(|rest| rest.split(')').next()).collect()
}

/// Returns the identifiers of `[text][id]` without a definition.
fn undefined_references(page: &str) -> impl Iterator<Item = &str> {
    let used = page.split("][").skip(1).filter_map(|rest| rest.split(']').next());
    used.filter(move |id| !page.contains(&format!("\n[{id}]: ")))
}

/// Follows a link of a page; an error says why it leads nowhere.
fn follow(page: &str, link: &str) -> Result<(), String> {
    let (file, fragment) = link.split_once('#').map_or((link, None), |(file, fragment)| (file, Some(fragment)));
    let page = common::top().join(page);
    let target = if file.is_empty() { page } else { page.parent().unwrap().join(file) };
    if !target.exists() {
        return Err("there is no such file".to_owned());
    }
    let Some(fragment) = fragment else { return Ok(()) };
    let text = fs::read_to_string(&target).map_err(|error| error.to_string())?;
    let found = headings(&text).any(|heading| anchor(heading) == fragment);
    if found { Ok(()) } else { Err("there is no such heading".to_owned()) }
}

/// Returns the fragment of a heading: lower case, without punctuation, spaces as hyphens.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

// Commands.

/// Returns the words of the commands of this project in the shell blocks of a page.
fn commands(page: &str) -> Vec<Vec<String>> {
    let lines = blocks(page).flat_map(|block| match block.language {
        "sh" => block.lines,
        "console" => block.lines.iter().filter_map(|line| line.strip_prefix("$ ")).collect(),
        _ => Vec::new(),
    });
    let commands = lines.flat_map(|line| words(line).split(|word| word == "|").map(<[_]>::to_vec).collect::<Vec<_>>());
    commands.filter(|command| arguments_of(command).is_some() || command.starts_with(&xtask())).collect()
}

fn xtask() -> [String; 2] {
    ["cargo".to_owned(), "xtask".to_owned()]
}

/// Returns the sniffer's arguments, if the command runs the sniffer.
fn arguments_of(command: &[String]) -> Option<&[String]> {
    match command {
        [program, rest @ ..] if program == "sniffer" => Some(rest),
        [program, run, ..] if program == "cargo" && run == "run" => {
            let at = command.iter().position(|word| word == "--")?;
            // `-p` runs the program of another package.
            (!command[..at].iter().any(|word| word == "-p")).then(|| &command[at + 1..])
        }
        _ => None,
    }
}

/// Splits a line into words as a shell does, without quotes and comments. A bar is a word.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, open) = (Some(c), true),
            (None, '#') if !open => break,
            (None, ' ') => {
                if std::mem::take(&mut open) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, c) => {
                word.push(c);
                open = true;
            }
        }
    }
    words.extend(open.then_some(word));
    words
}

/// Checks the options of a command against its help; an error names the first unknown one.
fn is_understood(command: &[String]) -> Result<(), String> {
    let Some(arguments) = arguments_of(command) else {
        let usage = read("xtask/src/main.rs");
        let known = command.get(2).is_some_and(|name| usage.contains(&format!("Some(\"{name}\") => ")));
        return if known { Ok(()) } else { Err("xtask has no such command".to_owned()) };
    };
    let Some((subcommand, arguments)) = arguments.split_first() else { return Err("no command".to_owned()) };
    let known = options_of(subcommand);
    if known.is_empty() {
        return Err(format!("there is no command {subcommand}"));
    }
    for word in arguments.iter().take_while(|word| *word != "--") {
        let option = word.split('=').next().unwrap_or(word);
        if option.starts_with('-') && option != "-" && !known.contains(option) {
            return Err(format!("there is no option {option}"));
        }
    }
    Ok(())
}

/// Returns the options in the help of a command; none if there is no such command.
fn options_of(command: &str) -> BTreeSet<String> {
    let output = common::sniffer().args([command, "--help"]).output().unwrap();
    if !output.status.success() {
        return BTreeSet::new();
    }
    let help = common::text(&output.stdout).to_owned();
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    // `-f, --format <FORMAT>  How to …`, `--stats[=<FORM>]`
    let names = lines.flat_map(|line| line.split("  ").next().unwrap_or(line).split(", "));
    names.map(|name| name.split(['[', ' ', '=']).next().unwrap_or(name).to_owned()).collect()
}

// Shown output.

/// Returns the commands of a page with the output shown below them.
fn sessions(page: &str) -> Vec<(String, String)> {
    let mut sessions = Vec::new();
    for block in blocks(page).filter(|block| block.language == "console") {
        for line in block.lines {
            match (line.strip_prefix("$ "), sessions.last_mut()) {
                (Some(command), _) => sessions.push((command.to_owned(), String::new())),
                (None, Some((_, output))) => {
                    output.push_str(line);
                    output.push('\n');
                }
                (None, None) => panic!("output without a command: {line}"),
            }
        }
    }
    sessions
}

/// Runs the sniffer and returns its output: messages as on a terminal, then stderr.
fn output(arguments: &[String]) -> String {
    let mut command = common::sniffer();
    command.args(arguments).current_dir(common::top());
    let given = |option: &str| arguments.iter().any(|argument| argument == option);
    if arguments.first().is_some_and(|first| first == "replay") && !given("-f") && !given("-o") {
        command.args(["--format", "pretty"]);
    }
    let output = command.output().unwrap();
    [common::text(&output.stdout), common::text(&output.stderr)].concat()
}

/// Compares shown output with real output. A last line `…` stands for the rest.
fn is_shown(want: &str, have: &str) -> bool {
    match want.strip_suffix("…\n") {
        Some(start) => have.starts_with(start) && have.len() > start.len(),
        None => want == have,
    }
}
