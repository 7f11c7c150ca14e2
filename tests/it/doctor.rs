//! What `supercheck doctor` asks of a server leaves no trace there.

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    target::Target,
    tools,
};

#[tokio::test(flavor = "multi_thread")]
async fn it_asks_nothing_that_a_server_complains_of() {
    let target = Target::start().await;
    for version in tools::VERSIONS {
        let Some(nats) = Nats::version(version).await else {
            continue;
        };
        let daemon = Daemon::serve(&format!(
            "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"",
            nats.url(),
            target.url("/")
        ));
        daemon.ready().await;
        let before = nats.log();
        let (code, out, err) = run(&mut daemon.command(&["doctor"]));
        assert_eq!(code, 0, "{version}: {out}{err}");
        let log = nats.log();
        let said = log.strip_prefix(&before).unwrap();
        assert!(
            !said.contains("[WRN]") && !said.contains("[ERR]"),
            "{version}: {said}"
        );
    }
}
