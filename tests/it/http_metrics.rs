//! The HTTP face: metrics, and what blackbox_exporter's scrapers get.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::{
    daemon::Daemon,
    nats::Nats,
    scene::{Scene, read},
    target::Target,
    tools, wait,
};

/// A program of Debian's package `prometheus`, if it could be had.
fn prometheus(program: &str) -> Option<PathBuf> {
    let path = tools::tools().join("prometheus/usr/bin").join(program);
    tools::has(&path, program).then_some(path)
}

/// A real Prometheus, ended when dropped.
struct Prometheus {
    child: tokio::process::Child,
    port: u16,
}

impl Prometheus {
    fn start(binary: &Path, home: &Path, config: &str, flags: &[&str]) -> Self {
        let path = home.join("prometheus.yml");
        fs::write(&path, config).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = tokio::process::Command::new(binary)
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", home.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, port }
    }

    /// The value of a query now.
    async fn ask(&self, query: &str) -> Option<Value> {
        let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        self.get(&format!("query?query={query}")).await
    }

    async fn get(&self, query: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}/api/v1/{query}", self.port);
        let body = reqwest::get(url).await.ok()?.text().await.ok()?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        Some(answer["data"]["result"].clone())
    }
}

async fn page(scene: &Scene, path: &str) -> String {
    let (status, _, body) = scene.get(path).await;
    assert_eq!(status, 200, "{body}");
    body.as_str().unwrap().to_owned()
}

/// The value of a series, as it stands on the page.
fn value(page: &str, series: &str) -> f64 {
    let line = page
        .lines()
        .find(|line| line.starts_with(series) && line[series.len()..].starts_with(' '));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_what_happens_and_are_clean() {
    let scene = Scene::set().await;
    let text = page(&scene, "/metrics").await;
    assert!((value(&text, "supercheck_check_up{check=\"up\"}") - 1.0).abs() < 0.1);
    assert!(value(&text, "supercheck_check_up{check=\"down\"}").abs() < 0.1);
    let down = "supercheck_check_status{check=\"down\",status=\"down\"}";
    assert!((value(&text, down) - 1.0).abs() < 0.1);
    let code = value(&text, "supercheck_check_http_status_code{check=\"down\"}");
    assert!((code - 503.0).abs() < 0.1);
    assert!(
        value(
            &text,
            "supercheck_check_runs_total{check=\"down\",verdict=\"fail\"}"
        ) >= 1.0
    );
    assert!(
        value(
            &text,
            "supercheck_check_latency_seconds_count{check=\"up\"}"
        ) >= 1.0
    );
    assert!(value(&text, "supercheck_schedule_lag_seconds_count") >= 2.0);
    assert!((value(&text, "supercheck_nats_up") - 1.0).abs() < 0.1);
    wait::until("runs are stored, and counted so", async || {
        let text = page(&scene, "/metrics").await;
        (value(&text, "supercheck_store_seconds_count") >= 2.0).then_some(())
    })
    .await;
    let before = value(&text, "supercheck_answers_total{from=\"run\"}");
    assert_eq!(read(scene.run("later")).await.0, 200);
    let text = page(&scene, "/metrics").await;
    assert!(value(&text, "supercheck_answers_total{from=\"run\"}") > before);

    let Some(promtool) = prometheus("promtool") else {
        return;
    };
    for path in ["/metrics", "/probe?target=up&module=http_2xx"] {
        let mut child = Command::new(&promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let text = page(&scene, path).await;
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{path}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scraper_of_blackbox_exporter_is_answered_from_memory() {
    let scene = Scene::set().await;
    let url = scene.target.url("/up");
    let text = page(&scene, &format!("/probe?target={url}&module=http_2xx")).await;
    assert!((value(&text, "probe_success") - 1.0).abs() < 0.1);
    assert!((value(&text, "probe_http_status_code") - 200.0).abs() < 0.1);
    assert!(value(&text, "probe_duration_seconds") > 0.0);
    assert!((value(&text, "probe_ip_protocol") - 4.0).abs() < 0.1);
    assert!(value(&text, "probe_http_redirects").abs() < 0.1);
    assert!((value(&text, "probe_http_content_length") - 15.0).abs() < 0.1);
    assert!(
        text.contains("probe_http_duration_seconds{phase=\"processing\"}"),
        "{text}"
    );
    // Without a scheme, and by name.
    let bare = url.trim_start_matches("http://");
    page(&scene, &format!("/probe?target={bare}")).await;
    let text = page(&scene, "/probe?target=down").await;
    assert!(value(&text, "probe_success").abs() < 0.1);
    // What a good answer is, is the check's own matter, not the module's.
    page(&scene, "/probe?target=up&module=as_somebody_called_it").await;
    // What was never checked is not probed for a scraper either.
    let text = page(&scene, "/probe?target=later").await;
    assert!(value(&text, "probe_success").abs() < 0.1);
    assert_eq!(scene.target.hits("/later"), 0);
    let other = scene.target.url("/other");
    let (status, _, problem) = scene.get(&format!("/probe?target={other}")).await;
    assert_eq!(status, 404);
    assert!(
        problem["hint"].as_str().unwrap().contains("never probes"),
        "{problem}"
    );
    assert_eq!(scene.target.hits("/other"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_tells_which_kind_of_check_is_meant() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let address = format!("127.0.0.1:{}", target.port());
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[defaults]\ninterval = \"500ms\"\ntimeout = \"400ms\"\n\
         [[check]]\nname = \"web\"\nurl = \"http://{address}/\"\n\
         [[check]]\nname = \"port\"\nurl = \"tcp://{address}\"",
        nats.url(),
    ));
    let url = daemon.http().await;
    let probe = async |module: &str| {
        let path = format!("{url}/probe?target={address}&module={module}");
        wait::until("it was probed", async || {
            let text = reqwest::get(&path).await.ok()?.text().await.ok()?;
            text.contains("probe_success 1").then_some(text)
        })
        .await
    };
    assert!(
        probe("http_2xx")
            .await
            .contains("probe_http_status_code 200")
    );
    assert!(!probe("tcp_connect").await.contains("probe_http_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_it() {
    let Some(binary) = prometheus("prometheus") else {
        return;
    };
    let scene = Scene::set().await;
    let home = tempfile::tempdir().unwrap();
    let address = scene.url.trim_start_matches("http://");
    // The blackbox job is as its documentation has it, but for the address.
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}\n\
         scrape_configs:\n\
         - job_name: supercheck\n  static_configs: [{{targets: ['{address}']}}]\n\
         - job_name: blackbox\n  metrics_path: /probe\n  params: {{module: [http_2xx]}}\n  \
         static_configs: [{{targets: ['{up}', '{down}']}}]\n  relabel_configs:\n  \
         - {{source_labels: [__address__], target_label: __param_target}}\n  \
         - {{source_labels: [__param_target], target_label: instance}}\n  \
         - {{target_label: __address__, replacement: '{address}'}}\n",
        up = scene.target.url("/up"),
        down = scene.target.url("/down"),
    );
    let mut prometheus = Prometheus::start(&binary, home.path(), &config, &[]);
    for (query, expected) in [
        ("sum(up)", "3"),
        ("supercheck_check_up{check=\"up\"}", "1"),
        ("supercheck_check_up{check=\"down\"}", "0"),
        ("sum(probe_success{job=\"blackbox\"})", "1"),
        (
            "count(rate(supercheck_check_runs_total{verdict=\"fail\"}[5s]) > 0)",
            "1",
        ),
    ] {
        wait::until(query, async || {
            let answer = prometheus.ask(query).await?;
            (answer[0]["value"][1] == expected).then_some(())
        })
        .await;
    }
    prometheus.child.kill().await.unwrap();
}

/// Its series end when nothing is scraped for `lookback-delta`, 5 minutes by
/// default, as happens to checks that blackbox_exporter makes more seldom. Here
/// it is a second, and a run is older than that all the time.
#[tokio::test(flavor = "multi_thread")]
async fn series_of_slow_checks_do_not_end() {
    let Some(binary) = prometheus("prometheus") else {
        return;
    };
    let scene = Scene::set().await;
    assert_eq!(read(scene.run("later")).await.0, 200);
    let home = tempfile::tempdir().unwrap();
    let address = scene.url.trim_start_matches("http://");
    let config = format!(
        "global: {{scrape_interval: 400ms, scrape_timeout: 400ms}}\n\
         scrape_configs:\n\
         - job_name: blackbox\n  metrics_path: /probe\n  params: {{module: [http_2xx], target: [later]}}\n  \
         static_configs: [{{targets: ['{address}']}}]\n\
         - job_name: supercheck\n  static_configs: [{{targets: ['{address}']}}]\n",
    );
    let flags = ["--query.lookback-delta=1s"];
    let mut prometheus = Prometheus::start(&binary, home.path(), &config, &flags);
    let age = "supercheck_check_age_seconds{job=\"blackbox\"}";
    let mut first = None;
    wait::until("it is known for five times that", async || {
        let answer = prometheus.ask(age).await?;
        let age: f64 = answer[0]["value"][1].as_str()?.parse().ok()?;
        (age > *first.get_or_insert(age) + 6.0).then_some(())
    })
    .await;
    // There are values at every moment of some seconds. A scrape that was too
    // slow, on a busy machine, ends series too: then the next seconds will do.
    for query in [
        "probe_success{job=\"blackbox\"}",
        "supercheck_check_up{check=\"later\"}",
    ] {
        let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        wait::until("a series without a gap", async || {
            let now = chrono::Utc::now().timestamp();
            let range = format!("start={}&end={now}&step=0.5", now - 4);
            let range = format!("query_range?query={query}&{range}");
            let answer = prometheus.get(&range).await?;
            let values = answer[0]["values"].as_array()?;
            let whole = values.len() == 9 && values.iter().all(|value| value[1] == "1");
            whole.then_some(())
        })
        .await;
    }
    assert_eq!(scene.target.hits("/later"), 1);
    prometheus.child.kill().await.unwrap();
}

#[test]
fn the_alert_rules_are_sound_and_fire_when_they_should() {
    let Some(promtool) = prometheus("promtool") else {
        return;
    };
    let folder = tools::root().join("deploy/prometheus");
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts-test.yml"],
    ] {
        let output = Command::new(&promtool)
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_dashboard_ask_for_what_there_is() {
    let scene = Scene::set().await;
    let text = page(&scene, "/metrics").await;
    let root = tools::root().join("deploy");
    let mut asked = 0;
    for path in ["grafana/supercheck.json", "prometheus/alerts.yml"] {
        let file = fs::read_to_string(root.join(path)).unwrap();
        for word in file.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if word.starts_with("supercheck_") {
                // Nothing here has a certificate.
                let known = text.contains(&format!("# TYPE {word} "))
                    || text.contains(&format!("\n{word}{{"))
                    || text.contains(&format!("\n{word} "));
                assert!(known, "{path} asks for {word}");
                asked += 1;
            }
        }
    }
    assert!(asked > 20, "{asked}");
}
