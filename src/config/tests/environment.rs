//! Settings from environment variables.

use super::*;

/// A configuration that has no file.
fn from_env(env: Env<'_>) -> Config {
    match load_files(&[], env) {
        Ok(loaded) => loaded.config,
        Err(mistakes) => panic!("{mistakes}"),
    }
}

/// Checks what is printed for one bad variable.
fn refused(name: &str, value: &str, expected: &str) {
    let mistakes = load_files(&[], &[(name, value)]).unwrap_err();
    let expected = format!("{expected}\n\n1 mistake in the environment; nothing was started");
    assert_eq!(mistakes.to_string(), expected);
}

#[test]
fn no_file_is_needed() {
    let loaded = load_files(
        &[],
        &[
            ("SUPERCHECK_NATS__URL", "nats://nats.example.com:4222"),
            (
                "SUPERCHECK_CHECK__API__URL",
                "https://api.example.com/health",
            ),
            ("SUPERCHECK_CHECK__API__INTERVAL", "5s"),
            (
                "SUPERCHECK_CHECK__API__EXPECT",
                "body.tags.all(t, t in ['a', 'b'])",
            ),
            ("SUPERCHECK_CHECK__API__TAGS", "eu, edge,"),
            ("SUPERCHECK_CHECK__API__STATUS", "200, 204"),
            (
                "SUPERCHECK_CHECK__SEARCH__URL",
                "https://search.example.com/health",
            ),
        ],
    )
    .unwrap();
    assert!(loaded.files.is_empty());
    assert_eq!(loaded.warnings, []);
    let file = "[nats]\nurl = \"nats://nats.example.com:4222\"\n\n\
        [[check]]\nname = \"api\"\nurl = \"https://api.example.com/health\"\ninterval = \"5s\"\n\
        expect = ['''body.tags.all(t, t in ['a', 'b'])''']\ntags = [\"eu\", \"edge\"]\n\
        status = [200, 204]\n\n\
        [[check]]\nname = \"search\"\nurl = \"https://search.example.com/health\"\n";
    assert_eq!(loaded.config, config(file, &[]));
}

#[test]
fn nothing_at_all_is_no_mistake_but_worth_a_word() {
    let loaded = load_files(&[], &[]).unwrap();
    assert_eq!(loaded.config, config("", &[]));
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["warning: there are no checks\nhint: add `[[check]]` with a `name` and a `url`"]
    );
}

#[test]
fn a_variable_wins_over_the_file() {
    let file =
        format!("[nats]\nurl = \"nats://file:4222\"\n[http]\nlisten = \"127.0.0.1:1\"\n{API}");
    let config = config(
        &file,
        &[
            ("SUPERCHECK_NATS__URL", "nats://variable:4222"),
            ("SUPERCHECK_HTTP__LISTEN", ""),
            ("SUPERCHECK_CHECK__API__URL", "https://variable.example.com"),
        ],
    );
    assert_eq!(config.nats.url.as_deref(), Some("nats://variable:4222"));
    assert_eq!(config.http.listen, None);
    assert_eq!(config.checks.len(), 1);
    assert_eq!(&*config.checks[0].shown_url, "https://variable.example.com");
}

#[test]
fn an_underscore_stands_for_a_dash_in_the_name_of_a_check() {
    let two = "[[check]]\nname = \"my-api\"\nurl = \"https://a.example.com\"\n\
               [[check]]\nname = \"my_api\"\nurl = \"https://b.example.com\"\n";
    let group = |text: &str| {
        let config = config(text, &[("SUPERCHECK_CHECK__MY_API__GROUP", "g")]);
        let grouped = config.checks.iter().filter(|check| check.group.is_some());
        grouped
            .map(|check| check.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        group("[[check]]\nname = \"my-api\"\nurl = \"https://a.example.com\"\n"),
        ["my-api"]
    );
    assert_eq!(group(two), ["my_api"], "the exact name wins");
}

#[test]
fn a_header_may_be_a_variable() {
    let file = format!("{API}headers = {{ Authorization = \"file\", Accept = \"text/plain\" }}\n");
    let env: Env<'_> = &[
        ("SUPERCHECK_CHECK__API__HEADERS__AUTHORIZATION", "variable"),
        ("SUPERCHECK_DEFAULTS__HEADERS__X_TEAM", "ops"),
    ];
    let config = config(&file, env);
    let headers = config.checks[0].target.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.as_str(), value.reveal()))
        .collect();
    let expected = [
        ("Accept", "text/plain"),
        ("authorization", "variable"),
        ("x-team", "ops"),
    ];
    assert_eq!(headers, expected);
}

#[test]
fn the_seconds_of_the_kv_bucket_have_a_variable_of_their_own() {
    let seconds = ("SUPERCHECK_NATS_KV_TTL_SECS", "3600");
    let store = from_env(&[seconds]).store;
    assert_eq!(
        (store.kv_ttl, store.kv_ttl_set),
        (Duration::from_secs(3600), true)
    );
    assert!(!store.object_ttl_set);
    let file = "[store]\nkv_ttl = \"5m\"\n";
    assert_eq!(
        config(file, &[seconds]).store.kv_ttl,
        Duration::from_secs(3600)
    );
    let both = from_env(&[seconds, ("SUPERCHECK_STORE__KV_TTL", "2h")]);
    assert_eq!(both.store.kv_ttl, Duration::from_secs(7200));
    for bad in ["", "0", "-1", "1h", "1.5"] {
        let expected = format!(
            "SUPERCHECK_NATS_KV_TTL_SECS: error: `{bad}` is no number of seconds\nhint: such as 86400"
        );
        refused(seconds.0, bad, &expected);
    }
}

#[test]
fn a_mistake_names_the_variable() {
    refused(
        "SUPERCHECK_SCHEDULER__CONCURRENCY",
        "many",
        "SUPERCHECK_SCHEDULER__CONCURRENCY: error: `many` is not what `concurrency` takes\n\
         hint: write a whole number from 1 to 100000",
    );
    refused(
        "SUPERCHECK_DEFAULTS__INTERVAL",
        "30",
        "SUPERCHECK_DEFAULTS__INTERVAL: error: `30` is not a duration\n\
         hint: write a number and a unit, such as `30s`, `5m`, or `1h 30m`",
    );
    refused(
        "SUPERCHECK_NATS__REQUIRE_TLS",
        "yes",
        "SUPERCHECK_NATS__REQUIRE_TLS: error: `yes` is not what `require_tls` takes\n\
         hint: write `true` or `false`",
    );
    refused(
        "SUPERCHECK_NATS__URLL",
        "x",
        "SUPERCHECK_NATS__URLL: error: unknown key `urll`\nhint: did you mean `url`?",
    );
    refused(
        "SUPERCHECK_NATZ__URL",
        "x",
        "SUPERCHECK_NATZ__URL: error: no setting has that name\n\
         hint: variables are SUPERCHECK_<SECTION>__<KEY> (sections: nats, http, log, scheduler, \
         gate, store, requests, history, defaults) and SUPERCHECK_CHECK__<NAME>__<KEY>",
    );
    refused(
        "SUPERCHECK_MAINTENANCE__NIGHT__DURATION",
        "2h",
        "SUPERCHECK_MAINTENANCE__NIGHT__DURATION: error: times of maintenance are not set by \
         variables\nhint: write `[[maintenance]]` into a file, or use `supercheck maintenance \
         NAME --for 2h`",
    );
    refused(
        "SUPERCHECK_CHECK__API__NAME",
        "api",
        "SUPERCHECK_CHECK__API__NAME: error: a check is named by the names of its variables\n\
         hint: SUPERCHECK_CHECK__API__URL is the URL of the check `api`",
    );
    refused(
        "SUPERCHECK_CHECK__API__TIMEOUT",
        "1s",
        "SUPERCHECK_CHECK__API__TIMEOUT: error: a check without a `url`\n\
         hint: set SUPERCHECK_CHECK__<NAME>__URL, or name a check of the file",
    );
    refused(
        "SUPERCHECK_CHECK___API__URL",
        "https://api.example.com",
        "SUPERCHECK_CHECK___API__URL: error: `_api` is not a check name\n\
         hint: use 1 to 63 of `a-z`, `0-9`, `-` and `_`, starting with a letter or digit: the \
         name is KV key, subject, path and label at once",
    );
    refused(
        "SUPERCHECK_CHECK__API__URL",
        "${env:NOT_SET}",
        "SUPERCHECK_CHECK__API__URL: error: the environment variable `NOT_SET` is not set\n\
         hint: set it, or write `${env:NOT_SET:-default}`",
    );
}

#[test]
fn mistakes_in_variables_come_after_those_in_files_by_name() {
    let env: Env<'_> = &[
        ("SUPERCHECK_STORE__REPLICAS", "2"),
        ("SUPERCHECK_HTTP__LISTEN", "nowhere"),
        ("SUPERCHECK_LOG__COLOR", "red"),
        ("SUPERCHECK_DEFAULTS__TAGS", "${env:NOT_SET}"),
    ];
    let said = printed(&format!("{API}intervall = \"1s\"\n"), env);
    let places: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once(": error"))
        .map(|(place, _)| place)
        .collect();
    let expected = [
        "supercheck.toml:4:1",
        "SUPERCHECK_DEFAULTS__TAGS",
        "SUPERCHECK_HTTP__LISTEN",
        "SUPERCHECK_LOG__COLOR",
        "SUPERCHECK_STORE__REPLICAS",
    ];
    assert_eq!(places, expected);
    assert!(
        said.ends_with("5 mistakes in supercheck.toml and the environment; nothing was started")
    );
}

#[test]
fn variables_of_others_do_not_disturb() {
    let kubernetes: Env<'_> = &[
        ("SUPERCHECK_PORT", "tcp://10.0.0.1:80"),
        ("SUPERCHECK_SERVICE_HOST", "10.0.0.1"),
        ("SUPERCHECK_SERVICE_PORT", "80"),
        ("SUPERCHECK_SERVICE_PORT_HTTP", "80"),
        ("SUPERCHECK_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("SUPERCHECK_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("SUPERCHECK_NATS_SERVICE_HOST", "10.0.0.2"),
        ("SUPERCHECK_NATS_PORT_4222_TCP", "tcp://10.0.0.2:4222"),
        ("SUPERCHECK_CONFIG", "supercheck.toml"),
        ("SUPERCHECK_NATS_SERVER", "/usr/bin/nats-server"),
        ("PATH__X", "/usr/bin"),
    ];
    let loaded = load_text(API, kubernetes).unwrap();
    assert_eq!(loaded.config, config(API, &[]));
    assert_eq!(loaded.warnings, []);
}

#[test]
fn one_underscore_where_two_were_meant_is_worth_a_word() {
    let loaded = load_text(API, &[("SUPERCHECK_NATS_URL", "nats://nats.example.com")]).unwrap();
    assert_eq!(loaded.config, config(API, &[]));
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["SUPERCHECK_NATS_URL: warning: this variable sets nothing\n\
          hint: did you mean SUPERCHECK_NATS__URL, with two underscores?"]
    );
}
