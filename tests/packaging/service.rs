//! The life of the installed service: installed, used, broken, upgraded,
//! removed.

use std::{path::Path, process::Command, time::Duration};

use serde_json::Value;

use crate::{command::good, machine::Machine, made, wait};

const STATUS: &str = "systemctl show supercheck --property StatusText --value";
/// What the later package says in its default configuration.
const LATER: &str = "Another default.";
/// The oldest summary there is of a check.
const OLDEST: &str = "supercheck history healthy --json | head -1";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/run --packaging runs it"]
async fn the_debian_package_installs_a_service_that_is_kept_running() {
    let Some((machine, _share)) = machine().await else {
        return;
    };
    installed(&machine).await;
    given_nats(&machine).await;
    used(&machine).await;
    reloaded(&machine).await;
    killed(&machine).await;
    hung(&machine).await;
    stopped(&machine);
    embedded(&machine).await;
    upgraded(&machine).await;
    restored(&machine).await;
    purged(&machine);
}

/// A booted machine that shares the packages and a newer nats-server.
async fn machine() -> Option<(Machine, tempfile::TempDir)> {
    let (root, package) = (made("debian")?, made("supercheck.deb")?);
    let debian = made("nats-server.deb")?;
    let server = crate::tools::nats_server(crate::tools::VERSIONS[0])?;
    let share = tempfile::tempdir().unwrap();
    let within = |name: &str| share.path().join(name);
    std::fs::copy(&package, within("supercheck.deb")).unwrap();
    std::fs::copy(server, within("nats-server")).unwrap();
    std::fs::copy(debian, within("debian.deb")).unwrap();
    newer(&package, &within("newer.deb"));
    Some((Machine::boot(&root, share.path()).await, share))
}

/// The same package with a later version, and another default configuration.
fn newer(package: &Path, path: &Path) {
    let tree = tempfile::tempdir().unwrap();
    let unpack = Command::new("dpkg-deb")
        .arg("-R")
        .arg(package)
        .arg(tree.path())
        .status();
    assert!(unpack.unwrap().success());
    let control = tree.path().join("DEBIAN/control");
    let text = std::fs::read_to_string(&control).unwrap();
    let lines = text
        .lines()
        .map(|line| match line.strip_prefix("Version: ") {
            Some(version) => format!("Version: {version}+next\n"),
            None => format!("{line}\n"),
        });
    std::fs::write(&control, lines.collect::<String>()).unwrap();
    let config = tree.path().join("etc/supercheck/supercheck.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}# {LATER}\n")).unwrap();
    good(
        Command::new("dpkg-deb")
            .args(["-Zgzip", "-z1", "-b"])
            .arg(tree.path())
            .arg(path),
    );
}

async fn installed(machine: &Machine) {
    let described = machine.does("dpkg-deb --info /share/supercheck.deb");
    assert!(described.contains("Suggests: nats-server"), "{described}");
    machine.does("dpkg --install /share/supercheck.deb");
    assert_eq!(machine.does("systemctl is-enabled supercheck"), "enabled");
    // `active` is what `Type=notify` makes of READY.
    machine
        .becomes("it runs", "systemctl is-active supercheck", "active")
        .await;
    machine
        .becomes(
            "its status",
            STATUS,
            "1 check, NATS away: results are kept until it is back",
        )
        .await;
    // Without its manual pages' reader, which a small machine need not have.
    let verified = machine.sh("systemd-analyze verify --man=no supercheck.service");
    assert_eq!(
        (verified.code, verified.out, verified.err),
        (0, String::new(), String::new())
    );
    let exposure = machine.does("systemd-analyze security supercheck --no-pager | tail -1");
    let level: f64 = exposure.split_whitespace().nth(6).unwrap().parse().unwrap();
    assert!(level <= 1.5, "{exposure}");
    let listed = machine.does("dpkg --listfiles supercheck");
    for file in [
        "man1/supercheck-serve.1.gz",
        "completions/supercheck",
        "_supercheck",
        "supercheck.fish",
    ] {
        assert!(listed.contains(file), "{listed}");
    }
    let ready = machine.sh("supercheck healthcheck");
    assert_eq!(ready.code, 1, "NATS is away: {ready:?}");
}

/// Debian's nats-server has no JetStream; what `doctor` says of that is done.
async fn given_nats(machine: &Machine) {
    machine.does("dpkg --install /share/debian.deb");
    let unusable = "1 check, NATS connected but not usable (see the log)";
    machine.becomes("it has none", STATUS, unusable).await;
    let doctor = machine.sh("supercheck doctor");
    assert_eq!(doctor.code, 2, "{doctor:?}");
    let (make, add) = (
        "install -d -o nats /var/lib/nats",
        "jetstream { store_dir: \"/var/lib/nats\" }",
    );
    for help in [make, add, "/etc/nats-server.conf"] {
        assert!(doctor.out.contains(help), "{doctor:?}");
    }
    machine.does(&format!(
        "{make} && echo '{add}' >> /etc/nats-server.conf && systemctl restart nats-server"
    ));
    machine
        .becomes("it has", STATUS, "1 check, NATS connected")
        .await;
}

/// With a target, and somebody who asks.
async fn used(machine: &Machine) {
    machine.does("systemd-run --unit demo-target /usr/bin/supercheck demo-target");
    machine.does(
        "mkdir /etc/supercheck/conf.d && printf '[[check]]\nname = \"healthy\"\nurl = \
         \"http://127.0.0.1:8089/healthy\"\ninterval = \"2s\"\n' > /etc/supercheck/conf.d/one.toml",
    );
    machine.does("systemctl reload supercheck");
    machine
        .becomes("both are there", STATUS, "2 checks, NATS connected")
        .await;
    machine
        .becomes(
            "it is probed",
            "supercheck status healthy --json | grep -c '\"up\"'",
            "1",
        )
        .await;
    // Which is also that the first results are in.
    let ready = "supercheck healthcheck > /dev/null; echo $?";
    machine.becomes("it is ready", ready, "0").await;
    machine.does("supercheck doctor");
    let report = machine.inside(async || {
        let client = async_nats::connect("nats://127.0.0.1:4222").await.unwrap();
        let asked = client.request("supercheck.check", "healthy".into());
        asked.await.unwrap().payload
    });
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["verdict"], "pass", "{report}");
    assert_eq!(report["trigger"], "request");
    let found = machine.does("journalctl SUPERCHECK_CHECK=healthy --output json --no-pager");
    let entry: Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
    assert_eq!(entry["SUPERCHECK_TO"], "up", "{entry}");
    assert_eq!(entry["SUPERCHECK_VERDICT"], "pass", "{entry}");
    assert!(
        entry["MESSAGE"].as_str().unwrap().contains("check=healthy"),
        "{entry}"
    );
}

async fn reloaded(machine: &Machine) {
    let process = main_process(machine);
    machine.does("printf '[[check]\n' > /etc/supercheck/conf.d/two.toml");
    let reload = machine.sh("systemctl reload supercheck");
    assert_eq!(
        reload.code, 1,
        "a file with mistakes is refused: {reload:?}"
    );
    let journal = machine.does("journalctl --unit supercheck --lines 15 --no-pager");
    assert!(journal.contains("two.toml:1:"), "and told: {journal}");
    assert_eq!(machine.does(STATUS), "2 checks, NATS connected");
    machine.does(
        "printf '[[check]]\nname = \"broken\"\nurl = \"http://127.0.0.1:8089/broken\"\n' \
         > /etc/supercheck/conf.d/two.toml",
    );
    machine.does("systemctl reload supercheck");
    machine
        .becomes("it is taken", STATUS, "3 checks, 1 down, NATS connected")
        .await;
    assert_eq!(main_process(machine), process);
}

fn main_process(machine: &Machine) -> String {
    machine.does("systemctl show supercheck --property MainPID --value")
}

async fn killed(machine: &Machine) {
    machine.does("systemctl kill --signal KILL supercheck");
    let restarts = "systemctl show supercheck --property NRestarts --value";
    machine.becomes("it is restarted", restarts, "1").await;
    machine
        .becomes("it runs", "systemctl is-active supercheck", "active")
        .await;
}

/// A process that stands still misses the watchdog's ping.
async fn hung(machine: &Machine) {
    drop_in(machine, "watchdog", "WatchdogSec=5s\nTimeoutAbortSec=1s");
    machine.does("systemctl restart supercheck");
    let process = main_process(machine);
    machine.does(&format!("kill -STOP {process}"));
    wait::within(Duration::from_secs(60), "another process", async || {
        let active = machine.sh("systemctl is-active supercheck").out == "active";
        (active && main_process(machine) != process).then_some(())
    })
    .await;
    let journal = machine.does("journalctl --unit supercheck --lines 30 --no-pager");
    assert!(journal.contains("Watchdog timeout"), "{journal}");
    machine.does("rm /etc/systemd/system/supercheck.service.d/watchdog.conf");
    machine.does("systemctl daemon-reload && systemctl restart supercheck");
}

fn drop_in(machine: &Machine, name: &str, settings: &str) {
    machine.does(&format!(
        "mkdir -p /etc/systemd/system/supercheck.service.d && printf '[Service]\n{settings}\n' \
         > /etc/systemd/system/supercheck.service.d/{name}.conf && systemctl daemon-reload"
    ));
}

fn stopped(machine: &Machine) {
    machine.does("systemctl stop supercheck");
    let ended = machine.does("systemctl show supercheck --property Result,ExecMainStatus");
    assert_eq!(ended, "Result=success\nExecMainStatus=0");
    let journal = machine.does("journalctl --unit supercheck --lines 5 --no-pager");
    assert!(journal.contains("]: stopped"), "drained: {journal}");
}

/// With a private nats-server, and a secret from systemd.
async fn embedded(machine: &Machine) {
    machine.does("systemctl stop nats-server && cp /share/nats-server /usr/local/bin/");
    machine
        .does("printf tiger > /etc/supercheck/nats-token && chmod 600 /etc/supercheck/nats-token");
    drop_in(
        machine,
        "token",
        "LoadCredential=nats-token:/etc/supercheck/nats-token",
    );
    machine.does(
        "sed -i 's/^url = \"nats:.*/token = \"${file:nats-token}\"/' /etc/supercheck/supercheck.toml",
    );
    machine.does("systemctl start supercheck");
    machine
        .becomes(
            "it is connected",
            STATUS,
            "3 checks, 1 down, NATS connected",
        )
        .await;
    machine.does("supercheck doctor");
    // The secret is there for those who judge the file before a reload, too.
    machine.does("systemctl reload supercheck");
    machine.inside(async || {
        let url = "nats://127.0.0.1:4222";
        assert!(
            async_nats::connect(url).await.is_err(),
            "it asks for the token"
        );
        let token = async_nats::ConnectOptions::with_token("tiger".to_owned());
        token.connect(url).await.unwrap();
    });
    let owner = machine.does("stat --format %a /var/lib/private/supercheck");
    assert_eq!(owner, "700");
}

/// The configuration was edited since the package was installed.
async fn upgraded(machine: &Machine) {
    let summed = "sha256sum /etc/supercheck/supercheck.toml";
    let config = machine.does(summed);
    let oldest = oldest(machine).await;
    for package in ["newer", "supercheck"] {
        // There, and back again.
        let process = main_process(machine);
        machine.does(&format!(
            "dpkg --force-confold --install /share/{package}.deb"
        ));
        machine
            .becomes("it runs", "systemctl is-active supercheck", "active")
            .await;
        machine.becomes("its state is kept", OLDEST, &oldest).await;
        assert_ne!(main_process(machine), process, "the other one runs");
        assert_eq!(machine.does(summed), config, "the configuration is kept");
        let offered = machine.sh(&format!("grep '{LATER}' /etc/supercheck/*.dpkg-dist"));
        assert_eq!(offered.code == 0, package == "newer", "{offered:?}");
    }
}

async fn oldest(machine: &Machine) -> String {
    wait::until("something to keep", async || {
        Some(machine.does(OLDEST)).filter(|oldest| oldest.contains("healthy"))
    })
    .await
}

/// What was copied while the service was stopped is put back after a loss.
async fn restored(machine: &Machine) {
    let oldest = oldest(machine).await;
    machine.does("systemctl stop supercheck && cp -a /var/lib/supercheck/. /var/backups/state");
    machine.does("rm -r /var/lib/supercheck/* && systemctl start supercheck");
    machine
        .becomes("it is lost", STATUS, "3 checks, 1 down, NATS connected")
        .await;
    assert_ne!(machine.does(OLDEST), oldest, "it is gone");
    machine.does("systemctl stop supercheck && rm -r /var/lib/supercheck/*");
    machine.does("cp -a /var/backups/state/. /var/lib/supercheck && rm -r /var/backups/state");
    machine.does("systemctl start supercheck");
    machine.becomes("it is back", OLDEST, &oldest).await;
}

fn purged(machine: &Machine) {
    machine.does("dpkg --remove supercheck");
    assert_ne!(machine.sh("systemctl is-active supercheck").code, 0);
    machine.does(
        "test -f /etc/supercheck/supercheck.toml && test -d /var/lib/private/supercheck/nats",
    );
    machine.does("rm -r /etc/supercheck/conf.d /etc/supercheck/nats-token");
    machine.does("rm -r /etc/systemd/system/supercheck.service.d && dpkg --purge supercheck");
    // What the test itself brought aside.
    let left = machine.does(
        "systemctl daemon-reload; find / -xdev -name '*supercheck*' -not -path '/proc/*' \
         -not -path '/share/*' -not -path '/var/lib/nats/*'",
    );
    assert_eq!(left, "", "nothing is left");
    let failed = machine.does("systemctl list-units --failed --no-legend 'supercheck*'");
    assert_eq!(failed, "");
}
