//! The table of settings is what is really read, and so is the JSON Schema.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "kinds that need no word of their own"
)]

use serde_json::Value;

use super::*;
use crate::config::settings::{Kind, SECTIONS, SETTINGS, Setting};

/// A value that the setting takes, as TOML, and as a variable has it.
fn sample(setting: &Setting) -> (String, String) {
    let text = |text: &str| (format!("{text:?}"), text.to_owned());
    let plain = |text: &str| (text.to_owned(), text.to_owned());
    match (setting.kind, setting.name) {
        (Kind::Text, "url") if setting.section == "nats" => text("tls://nats.example.com"),
        (Kind::Text, "url") => text("https://other.example.com"),
        (Kind::Text, "listen") => text("127.0.0.1:9999"),
        (Kind::Text, "sync_interval") => text("always"),
        (Kind::Text, "method") => text("POST"),
        (Kind::Text, "ca" | "client_cert" | "client_key") => text("sample.pem"),
        (Kind::Text, "resolve") => text("10.0.0.1:8443"),
        (Kind::Text, "host") => text("other.example.com"),
        (Kind::Text, "basic") => text("user:password"),
        (Kind::Text, "proxy") => text("http://user:password@proxy.example.com:3128"),
        (Kind::Text, _) => text("sample"),
        (Kind::Duration, "timeout") => text("2s"),
        (Kind::Duration, "keep" | "max_age") => text("7m"),
        (Kind::Duration, _) => text("7s"),
        (Kind::Bytes, _) => text("7MiB"),
        (Kind::Number, _) => plain("3"),
        (Kind::Truth, "enabled") => plain("false"),
        (Kind::Truth, _) => plain("true"),
        (Kind::Texts, "urls") => (
            "[\"https://a.example.com/\", \"https://b.example.com\"]".to_owned(),
            "https://a.example.com/, https://b.example.com".to_owned(),
        ),
        (Kind::Texts, "allow_urls") => (
            "[\"https://a.example/*\", \"http://*:*/\"]".to_owned(),
            "https://a.example/*, http://*:*/".to_owned(),
        ),
        (Kind::Texts, "allow_networks") => (
            "[\"10.0.0.0/8\", \"::1\"]".to_owned(),
            "10.0.0.0/8, ::1".to_owned(),
        ),
        (Kind::Texts, _) => ("[\"a\", \"b\"]".to_owned(), "a, b".to_owned()),
        (Kind::Numbers, _) => ("[201, 202]".to_owned(), "201,202".to_owned()),
        (Kind::Word(words), _) => text(words[words.len() - 1]),
        (Kind::Headers, _) => plain("{ X-Sample = \"sample\" }"),
        (Kind::Expect, _) => ("['status == 204']".to_owned(), "status == 204".to_owned()),
    }
}

/// Settings that are mistakes alone.
fn company(setting: &Setting) -> &'static str {
    match setting.name {
        "user" => "password = \"x\"\n",
        "password" => "user = \"x\"\n",
        "tls_cert" => "tls_key = \"x\"\n",
        "tls_key" => "tls_cert = \"x\"\n",
        "client_cert" => "client_key = \"x.pem\"\n",
        "client_key" => "client_cert = \"x.pem\"\n",
        _ => "",
    }
}

/// A check for which nothing is asked, where `setting` is of such.
fn pushed(setting: &Setting) -> Option<&'static str> {
    match setting.name {
        _ if setting.section != "check" => None,
        "push" => Some("[[check]]\nname = \"api\"\n"),
        "grace" => Some("[[check]]\nname = \"api\"\npush = true\n"),
        _ => None,
    }
}

/// A file in which `setting` alone is set to `value`.
fn file(setting: &Setting, value: &str) -> String {
    let Setting { section, name, .. } = setting;
    let line = format!("{name} = {value}\n{}", company(setting));
    match *section {
        "check" if pushed(setting).is_some() => {
            format!("{}{line}", pushed(setting).unwrap_or_default())
        }
        "check" if API.contains(&format!("\n{name} = ")) => API
            .lines()
            .map(|old| match old.split_once(" = ") {
                Some((key, _)) if key == *name => line.clone(),
                _ => format!("{old}\n"),
            })
            .collect(),
        "check" => format!("{API}{line}"),
        _ => format!("[{section}]\n{line}\n{API}"),
    }
}

#[test]
fn every_setting_of_the_table_is_taken_and_counts() {
    let before = config(API, &[]);
    for setting in SETTINGS {
        let after = config(&file(setting, &sample(setting).0), &[]);
        assert_ne!(
            after, before,
            "{}.{} changes nothing",
            setting.section, setting.name
        );
    }
}

#[test]
fn every_setting_can_be_a_variable() {
    for setting in SETTINGS {
        let Setting { section, name, .. } = setting;
        let (value, raw) = sample(setting);
        let variable = match (*section, setting.kind) {
            // The variables of a check have its name in theirs.
            ("check", _) if *name == "name" => continue,
            ("check", Kind::Headers) => "CHECK__API__HEADERS__X_SAMPLE".to_owned(),
            ("check", _) => format!("CHECK__API__{name}"),
            (_, Kind::Headers) => format!("{section}__HEADERS__X_SAMPLE"),
            (_, _) => format!("{section}__{name}"),
        };
        let variable = format!("SUPERCHECK_{}", variable.to_uppercase());
        let raw = if setting.kind == Kind::Headers {
            "sample"
        } else {
            &raw
        };
        let by_file = config(&file(setting, &value).replace("X-Sample", "x-sample"), &[]);
        let around = match (company(setting), *section) {
            ("", _) => pushed(setting).unwrap_or(API).to_owned(),
            (company, "check") => format!("{API}{company}"),
            (company, section) => format!("[{section}]\n{company}\n{API}"),
        };
        assert_eq!(config(&around, &[(&variable, raw)]), by_file, "{variable}");
    }
}

#[test]
fn nothing_is_read_that_is_not_in_the_table() {
    for section in SECTIONS.into_iter().chain(["check"]) {
        let head = if section == "check" {
            API.to_owned()
        } else {
            format!("[{section}]\n")
        };
        let said = printed(&format!("{head}nothing_like_it = 1\n"), &[]);
        // The hint names everything that is asked for.
        let (_, hint) = said.split_once("hint: there are `").unwrap();
        let (list, _) = hint.split_once("`\n").unwrap();
        let mut asked: Vec<&str> = list.split("`, `").collect();
        let of_section = SETTINGS.iter().filter(|setting| setting.section == section);
        let mut known: Vec<&str> = of_section.map(|setting| setting.name).collect();
        asked.sort_unstable();
        known.sort_unstable();
        assert_eq!(asked, known, "[{section}]");
    }
}

#[test]
fn the_defaults_of_the_table_are_the_defaults() {
    /// Where the table describes a default that is no value.
    const PROSE: [&str; 5] = [
        "inbox_prefix",
        "sync_interval",
        "instance",
        "object",
        "status",
    ];
    let before = config(API, &[]);
    for setting in SETTINGS {
        let asked = pushed(setting).is_none();
        if setting.default.is_empty() || PROSE.contains(&setting.name) || !asked {
            continue;
        }
        let default = setting.default.split(',').next().unwrap();
        let value = match setting.kind {
            Kind::Number | Kind::Truth => default.to_owned(),
            _ => format!("{default:?}"),
        };
        let mut after = config(&file(setting, &value), &[]);
        // Whether it was set is all that may differ.
        after.store.object_ttl_set = false;
        after.store.failure_ttl_set = false;
        after.store.kv_ttl_set = false;
        after.store.requests.set = false;
        after.store.history.set = false;
        assert_eq!(after, before, "{}.{}", setting.section, setting.name);
    }
}

#[test]
fn the_schema_takes_the_good_files_and_refuses_the_bad() {
    let schema = schema();
    for name in ["supercheck", "demo"] {
        let text = fs::read_to_string(package().join(format!("config/{name}.toml"))).unwrap();
        assert_eq!(
            misfit(&schema, &toml::from_str(&text).unwrap(), ""),
            None,
            "{name}"
        );
    }
    for setting in SETTINGS {
        let value = toml::from_str(&file(setting, &sample(setting).0)).unwrap();
        assert_eq!(misfit(&schema, &value, ""), None, "{}", setting.name);
    }
    for (name, place) in [
        ("unknown-section", "/schedular"),
        ("unknown-key-in-nats", "/nats/credential"),
        ("unknown-key-in-check", "/check/0/intervall"),
        ("name-missing", "/check/0/name"),
        ("number-in-quotes", "/scheduler/concurrency"),
        ("number-negative", "/check/0/max_redirects"),
        ("duration-without-unit", "/check/0/interval"),
        ("truth-in-quotes", "/nats/require_tls"),
        ("word-unknown", "/log/format"),
        ("unknown-key-in-requests", "/requests/max_wait"),
        ("history-enabled-in-quotes", "/history/enabled"),
        ("history-per-check-in-quotes", "/history/max_per_check"),
        ("tags-are-text", "/check/0/tags"),
        ("tags-hold-a-number", "/check/0/tags/1"),
        ("header-is-a-number", "/check/0/headers/X-Retries"),
        ("expect-without-cel", "/check/0/expect/0"),
    ] {
        let path = package().join(format!("tests/fixtures/config/bad/{name}.toml"));
        let value = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(
            misfit(&schema, &value, "").as_deref(),
            Some(place),
            "{name}"
        );
    }
}

/// Where `value` does not fit `schema`, by the keywords that ours uses.
fn misfit(schema: &Value, value: &Value, at: &str) -> Option<String> {
    let here = || Some(at.to_owned());
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let fits = |choice| misfit(choice, value, at).is_none();
        return if choices.iter().any(fits) {
            None
        } else {
            here()
        };
    }
    let kind = match value {
        Value::String(_) => "string",
        Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Null => "null",
    };
    let takes = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|wanted| wanted == kind),
        wanted => wanted == kind,
    };
    let words = schema.get("enum").and_then(Value::as_array);
    let below = value.as_i64() < schema["minimum"].as_i64() && value.is_number();
    if !takes || below || words.is_some_and(|words| !words.contains(value)) {
        return here();
    }
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| misfit(&schema["items"], item, &format!("{at}/{index}"))),
        Value::Object(entries) => {
            let required = schema["required"].as_array().into_iter().flatten();
            let missing = required
                .filter_map(Value::as_str)
                .find(|name| !entries.contains_key(*name));
            if let Some(missing) = missing {
                return Some(format!("{at}/{missing}"));
            }
            entries.iter().find_map(|(key, value)| {
                let at = format!("{at}/{key}");
                match (
                    schema["properties"].get(key),
                    &schema["additionalProperties"],
                ) {
                    (Some(schema), _) => misfit(schema, value, &at),
                    (None, Value::Object(_)) => misfit(&schema["additionalProperties"], value, &at),
                    (None, Value::Bool(false)) => Some(at),
                    (None, _) => None,
                }
            })
        }
        _ => None,
    }
}

#[test]
fn an_embedded_server_that_is_open_to_the_network_is_worth_a_word() {
    let warnings = |nats: &str| {
        let text = format!("[nats]\n{nats}\n{API}");
        let loaded = load_text(&text, &[]).unwrap();
        loaded
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let [warning] = &warnings("listen = \"0.0.0.0:4222\"")[..] else {
        panic!("one warning");
    };
    assert!(warning.contains("supercheck.toml:2:10"), "{warning}");
    assert!(warning.contains("hint: set `nats.token`"), "{warning}");
    for closed in [
        "listen = \"0.0.0.0:4222\"\ntoken = \"t\"",
        "listen = \"127.0.0.1:4223\"",
        "listen = \"[::1]:4223\"",
        "listen = \"localhost:4223\"",
        "listen = \"0.0.0.0:4222\"\nurl = \"nats://127.0.0.1\"",
    ] {
        assert!(warnings(closed).is_empty(), "{closed}");
    }
}
