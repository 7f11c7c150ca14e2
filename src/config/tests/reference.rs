//! `config/*.toml`: the annotated reference and the demonstration are what
//! they say they are.

use super::*;
use crate::config::settings::{SECTIONS, SETTINGS};

/// What the examples refer to.
const ENV: Env<'_> = &[("NATS_PASSWORD", "x"), ("API_TOKEN", "x")];

fn reference() -> String {
    fs::read_to_string(package().join("config/supercheck.toml")).unwrap()
}

/// The reference with its examples in force: `#key = …` loses its `#`.
pub(super) fn examples() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    reference().lines().map(line).collect()
}

fn load_examples() -> Loaded {
    let text = examples()
        .replace("${file:nats-token}", "x")
        .replace("${file:nats-nkey-seed}", "x")
        .replace("${file:http-token}", "x")
        .replace("${file:http-read-token}", "x")
        // Either of the two is what a check may have.
        .replace("basic = ", "# ");
    match load_text(&text, ENV) {
        Ok(loaded) => loaded,
        Err(mistakes) => panic!("{mistakes}"),
    }
}

#[test]
fn every_file_in_config_loads_without_a_word() {
    let root = package().join("config");
    let mut seen = 0;
    for entry in fs::read_dir(&root).unwrap() {
        let path = PathBuf::from(entry.unwrap().file_name());
        if path.extension().is_some_and(|end| end == "toml") {
            match load_path(&root, &path, &[]) {
                Ok(loaded) => assert_eq!(loaded.warnings, [], "{}", path.display()),
                Err(mistakes) => panic!("{mistakes}"),
            }
            seen += 1;
        }
    }
    assert!(seen >= 2, "{seen} files in {}", root.display());
}

#[test]
fn every_value_in_the_reference_is_the_default() {
    let least = "[[check]]\nname = \"supercheck\"\nurl = \"http://127.0.0.1:8080/livez\"\n";
    assert_eq!(config(&reference(), &[]), config(least, &[]));
}

#[test]
fn every_setting_of_the_reference_is_in_the_table_and_the_other_way_round() {
    let written: toml::Table = examples().parse().unwrap();
    for section in SECTIONS.into_iter().chain(["check"]) {
        let table = &written[section];
        let table = table.get(0).unwrap_or(table).as_table().unwrap();
        let mut names: Vec<&str> = table.keys().map(String::as_str).collect();
        let of_section = SETTINGS.iter().filter(|setting| setting.section == section);
        let mut known: Vec<&str> = of_section.map(|setting| setting.name).collect();
        // A check that is asked has none: its example is a comment.
        known.retain(|name| section != "check" || *name != "grace");
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known, "[{section}]");
    }
    assert_eq!(written.len(), SECTIONS.len() + 1);
}

#[test]
fn every_example_in_the_reference_is_sound_and_does_something() {
    let with = load_examples().config;
    let without = config(&reference(), &[]);
    let changed = diff(&without, &with);
    assert_eq!(changed.changed.len(), 1, "the check");
    assert_eq!(
        changed.restart,
        [
            "nats",
            "http",
            "scheduler",
            "gate",
            "store",
            "requests",
            "history"
        ]
    );
    let shown = [show(&without), show(&with)];
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (without, with) = (lines(&shown[0]), lines(&shown[1]));
    let new = with.iter().filter(|line| !without.contains(line)).count();
    assert!(new > 20, "only {new} lines differ:\n{}", shown[1]);
}

#[test]
fn every_setting_of_the_reference_is_explained() {
    let text = reference();
    let mut explained = false;
    for (index, line) in text.lines().enumerate() {
        let comment = line.starts_with("# ");
        let setting = line.trim_start_matches('#').contains(" = ") && !comment;
        if setting {
            assert!(explained, "line {}: {line}", index + 1);
        }
        // One comment may stand for several settings in a row.
        explained = comment || setting;
        assert!(line.chars().count() <= 100, "line {} is long", index + 1);
    }
}
