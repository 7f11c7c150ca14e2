//! What `show` writes is a configuration again, and the same one.
//!
//! The same, for secrets: a secret is there in both or in neither, and a URL is
//! the same as far as it is shown. Everything else is equal.

use proptest::prelude::*;
use url::Url;

use super::*;

/// `config` with every secret replaced by what is shown for it.
fn hidden(config: &Config) -> Config {
    let secret = |secret: &mut Option<Secret>| {
        if secret.is_some() {
            *secret = Some(Secret::new("…"));
        }
    };
    let mut config = config.clone();
    secret(&mut config.nats.token);
    secret(&mut config.nats.password);
    secret(&mut config.nats.nkey_seed);
    secret(&mut config.http.token);
    secret(&mut config.http.read_token);
    let url = config.nats.url.as_deref();
    config.nats.url = url.map(hide::without_userinfo);
    for check in &mut config.checks {
        let check = Arc::make_mut(check);
        check.target.url = Url::parse(&check.shown_url).unwrap();
        secret(&mut check.target.body);
        if let Some(proxy) = &mut check.target.route_mut().proxy {
            proxy.url = Secret::new("…");
        }
        for (_, value) in &mut check.target.headers {
            *value = Secret::new("…");
        }
    }
    config
}

pub(super) fn comes_back(before: &Config) {
    let text = show(before);
    match load_text(&text, &[]) {
        Ok(loaded) => assert_eq!(hidden(&loaded.config), hidden(before), "\n{text}"),
        Err(mistakes) => panic!("{mistakes}\nin:\n{text}"),
    }
}

#[test]
fn what_is_shown_is_the_same_configuration() {
    comes_back(&config("", &[]));
    comes_back(&config(API, &[]));
    let env: Env<'_> = &[
        ("NATS_PASSWORD", "x"),
        ("API_TOKEN", "x"),
        ("URL", "https://h/x"),
    ];
    let examples = reference::examples()
        .replace("${file:", "${env:API_TOKEN:-")
        .replace("basic = ", "# ");
    comes_back(&config(&examples, env));
    let demo = fs::read_to_string(package().join("config/demo.toml")).unwrap();
    comes_back(&config(&demo, &[]));
    for more in [
        "resolve = \"10.0.0.1\"",
        "resolve = \"[::1]:8443\"\nip = \"6\"",
        "host = \"other.example.com\"\nresolve = \"10.0.0.1:80\"",
        "host = \"other.example.com\"\nhttp = \"2\"",
        "proxy = \"http://u:p@proxy.example.com\"\nbasic = \"u:p\"",
        "proxy = \"http://${env:URL}@proxy.example.com\"\nbearer = \"${env:URL}\"",
    ] {
        comes_back(&config(&format!("{API}{more}\n"), env));
    }
    for connection in [
        "tcp://db.example.com:5432\"",
        "tls://10.0.0.5:636\"\nhost = \"ldap.example.com\"\ntrust = \"any",
    ] {
        let check = API.replace("https://api.example.com/health\"", connection);
        comes_back(&config(&check.replace("any\n", "any\"\n"), &[]));
    }
    for url in [
        "https://u:p@api.example.com",
        "https://bücher.example.com/ä?ö",
        "https://api.example.com/a b",
        "https://api.example.com/$${x}",
        "${env:URL}",
        "https://${env:API_TOKEN}/health",
        "https://api.example.com:${env:PORT:-80}/health",
        "https://u:${env:API_TOKEN}@api.example.com/ü?${env:API_TOKEN}=1#x",
    ] {
        let text = format!("[[check]]\nname = \"api\"\nobject = \"api\"\nurl = \"{url}\"\n");
        comes_back(&config(&text, env));
    }
    for url in [
        "nats://u:p@a:4222",
        "tls://token@a",
        "u:p@a:4222",
        "token@a:4222",
        "a",
    ] {
        comes_back(&config(&format!("[nats]\nurl = \"{url}\"\n{API}"), &[]));
    }
    for streams in [
        "[requests]\nkeep = \"90m\"",
        "[http]\nhosts = [\"a.example\", \"b.example\"]\ndrain = \"5s\"",
        "[history]\nenabled = false",
        "[history]\nmax_bytes = \"2TiB\"\n[requests]\nmax_waiting = 7",
    ] {
        comes_back(&config(&format!("{streams}\n{API}"), &[]));
    }
    let inherited = "[defaults]\nheaders = { X-B = \"1\", X-A = \"1\" }\n";
    comes_back(&config(
        &format!("{inherited}{API}headers = {{ A = \"1\", x-a = \"2\" }}\n"),
        &[],
    ));
}

/// What is shown of a small configuration.
const FILLED_IN: &str = r#"[nats]
url = "nats://127.0.0.1"
token = "…"
require_tls = false
listen = "127.0.0.1:4222"

[http]
listen = "127.0.0.1:8080"
drain = "0s"

[log]
format = "text"
filter = "info"

[scheduler]
mode = "local"
concurrency = 512
per_host = 16
per_host_rate = 0
jitter = "0s"
grace = "10s"
fast_start = false
tick = "50ms"

[gate]
urls = []
interval = "10s"
timeout = "3s"

[store]
# object_ttl = "30s"
# failure_ttl = "7days"
# kv_ttl = "1day"
replicas = 1
object_content = "report"

[requests]
# max_waiting = 100000
# max_bytes = 67108864
# keep = "1h"
# keep_bytes = 268435456

[history]
enabled = true
# max_age = "7days"
# max_bytes = 1073741824
# max_per_check = 100000

[[check]]
name = "api"
url = "https://api.example.com/?k=***"
object = "api"
method = "GET"
headers = { "X-Key" = "…" }
timeout = "3s"
attempts = 1
attempt_delay = "500ms"
max_redirects = 10
max_latency = "1s 500ms"
ip = "any"
http = "any"
trust = "verified"
fresh_connection = false
interval = "10s"
tags = ["eu"]
json = false
dialect = "auto"
on_disagreement = "worse"
certificate_warn = "14days"
expect = ["status == 200", { cel = 'body.a == "b"', severity = "warn" }]
fail_after = 1
recover_after = 1
max_body = 1048576
"#;

#[test]
fn everything_is_filled_in_and_secrets_are_hidden() {
    let text = "[nats]\nurl = \"nats://u:p@127.0.0.1\"\ntoken = \"t\"\n\n\
                [defaults]\nheaders = { X-Key = \"k\" }\ntags = [\"eu\"]\n\n\
                [[check]]\nname = \"api\"\nurl = \"https://u:p@api.example.com/?k=${env:KEY}\"\n\
                object = \"api\"\nmax_latency = \"1500ms\"\n\
                expect = ['status == 200', { cel = 'body.a == \"b\"', severity = \"warn\" }]\n";
    assert_eq!(show(&config(text, &[("KEY", "k")])), FILLED_IN);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_duration_and_number_comes_back(
        text in any::<String>(),
        tags in proptest::collection::vec(any::<String>(), 0..4),
        millis in 1000u64..300_000_000_000,
        bytes in 0..i64::MAX.cast_unsigned(),
        set in any::<bool>(),
    ) {
        let mut config = config(API, &[]);
        config.log.filter.clone_from(&text);
        config.scheduler.instance = Some(text.clone());
        config.scheduler.grace = Duration::from_millis(millis);
        config.nats.max_store = Some(bytes);
        config.nats.token = Some(Secret::new(text.clone()));
        if set {
            config.store.object_ttl = Duration::from_millis(millis);
            config.store.object_ttl_set = true;
        }
        let check = Arc::make_mut(&mut config.checks[0]);
        check.group = Some(text);
        check.tags = tags;
        check.interval = Duration::from_nanos(millis * 1_000_003);
        comes_back(&config);
    }
}
