//! Whatever stands in the file and in the environment, reading it ends with
//! mistakes that can be printed, or with a configuration that can be shown.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::*;

/// Loads `text`, and prints what came of it.
fn survive(text: &str, env: Env<'_>) {
    match load_text(text, env) {
        Ok(loaded) => shown::comes_back(&loaded.config),
        Err(mistakes) => assert!(!mistakes.to_string().is_empty()),
    }
}

/// The reference with its examples, and the checks of the demonstration.
fn everything() -> String {
    let demo = fs::read_to_string(package().join("config/demo.toml")).unwrap();
    let (_, checks) = demo.split_once("[[check]]").unwrap();
    format!(
        "{}\n[[check]]{checks}",
        reference::examples().replace("basic = ", "# ")
    )
}

#[derive(Clone, Debug)]
enum Change {
    Delete(Index),
    Insert(Index, char),
    Double(Index),
    Cut(Index),
    DeleteLine(Index),
    DoubleLine(Index),
    MoveLine(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    // Those that mean something in TOML, in references and in CEL.
    let special: Vec<char> = "[]{}\"'=.,#\n\\$%@:/-_ 019eT\u{fffd}ß\0".chars().collect();
    let inserted = prop_oneof![select(special), any::<char>()];
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Change::Delete),
        (at(), inserted).prop_map(|(at, c)| Change::Insert(at, c)),
        at().prop_map(Change::Double),
        at().prop_map(Change::Cut),
        at().prop_map(Change::DeleteLine),
        at().prop_map(Change::DoubleLine),
        (at(), at()).prop_map(|(from, to)| Change::MoveLine(from, to)),
    ]
}

/// `text` with one change; what is empty stays so.
fn apply(text: &str, change: &Change) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let mut lines: Vec<&str> = text.split('\n').collect();
    let (length, count) = (chars.len().max(1), lines.len());
    chars.push('\n');
    match change {
        Change::Delete(at) => drop(chars.remove(at.index(length))),
        Change::Insert(at, c) => chars.insert(at.index(length), *c),
        Change::Double(at) => chars.insert(at.index(length), chars[at.index(length)]),
        Change::Cut(at) => chars.truncate(at.index(length)),
        Change::DeleteLine(at) => drop(lines.remove(at.index(count))),
        Change::DoubleLine(at) => lines.insert(at.index(count), lines[at.index(count)]),
        Change::MoveLine(from, to) => {
            let line = lines.remove(from.index(count));
            lines.insert(to.index(count), line);
        }
    }
    match change {
        Change::DeleteLine(_) | Change::DoubleLine(_) | Change::MoveLine(..) => lines.join("\n"),
        Change::Delete(_) | Change::Insert(..) | Change::Double(_) | Change::Cut(_) => {
            chars.into_iter().collect()
        }
    }
}

/// Lines that begin like those of a configuration.
const LIKE_TOML: &str = concat!(
    r"(\[{0,2}(check|nats|defaults|x)?\]{0,2}|[a-z_]{0,9} ?=? ?(",
    r#""[^"\n]{0,9}"|'.{0,9}'|-?[0-9]{1,20}(\.|e|:)?[0-9]{0,3}|[\[{]|[\]}]"#,
    r#")|\$\{(env|file):[A-Z/]{0,3}\}?|"""|\n|\r\n|\t){0,60}"#
);

/// Values of every kind, at their ends.
const VALUES: &str = concat!(
    r#"-?[0-9]{1,25}|"[0-9]{1,25} ?(ns|ms|s|h|days|years|KiB|GiB|TiB)?"|'[^'\n]{0,30}'"#,
    r#"|\[(1|"a"|\{\}|\[\])?\]|\{( ?cel = (1|"a"|'status') ?)?\}|true|nan|1979-05-27"#
);

/// Names that begin like those of our variables.
const VARIABLES: &str = concat!(
    "SUPERCHECK_(CHECK__|NATS__|STORE__|HISTORY__|DEFAULTS__|X)?(API__|_)?",
    "(URL|INTERVAL|EXPECT|HEADERS|KV_TTL|MAX_BYTES|STATUS|.{0,5})(__[A-Z]{0,3})?"
);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survive(&text, &[]);
    }

    #[test]
    fn text_like_a_configuration_is_survived(text in LIKE_TOML) {
        survive(&text, &[]);
    }

    #[test]
    fn a_changed_reference_is_survived(changes in vec(change(), 0..12)) {
        let changed = changes.iter().fold(everything(), |text, change| apply(&text, change));
        let env: Env<'_> = &[("NATS_PASSWORD", "x"), ("API_TOKEN", "x")];
        survive(&changed.replace("${file:", "${env:API_TOKEN:-"), env);
    }

    #[test]
    fn any_variable_is_survived(name in VARIABLES, value in any::<String>()) {
        survive(API, &[(&name, &value)]);
    }

    #[test]
    fn any_setting_survives_any_value(at in any::<Index>(), value in VALUES) {
        let setting = at.get(crate::config::settings::SETTINGS);
        let line = format!("{} = {value}\n", setting.name);
        let text = match setting.section {
            "check" => format!("{API}{line}"),
            section => format!("[{section}]\n{line}{API}"),
        };
        survive(&text, &[]);
    }
}

#[test]
fn deep_nesting_is_survived() {
    survive(&format!("a = {}", "[".repeat(100_000)), &[]);
    survive(&format!("a = {}", "{a=".repeat(100_000)), &[]);
    survive(&format!("a{} = 1", ".a".repeat(10_000)), &[]);
}
