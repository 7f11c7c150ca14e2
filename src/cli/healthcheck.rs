//! `supercheck healthcheck`: whether the daemon on this host is ready, for
//! container health checks. It needs no shell and no curl.

use std::time::Duration;

use clap::Args;

use super::{Failure, Global, connect, load, out};
use crate::{
    check::Trust,
    config::{self, Config},
    error::Exit,
    probe::{Prober, ProberSettings},
};

/// What `healthcheck` is told.
#[derive(Debug, Args)]
pub struct Options {
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Exit code 0: ready; 1: not, or not there.
///
/// # Errors
/// Mistakes in the configuration.
pub fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let config = load::load(global.config.as_deref())?.config;
    let timeout = options.timeout;
    out::block_on(async {
        match &config.http.listen {
            Some(listen) => readyz(listen, config.http.tls_cert.is_some(), timeout).await,
            None => answers(&config, timeout).await,
        }
    })
}

/// What the daemon says of itself over HTTP.
async fn readyz(listen: &str, tls: bool, timeout: Duration) -> Result<Exit, Failure> {
    let bug = |error: String| Failure::new(Exit::Bug, anyhow::Error::msg(error));
    let Some(address) = reachable(listen) else {
        let error = "the port is picked by the system, so it is not known here";
        return Err(Failure {
            exit: Exit::Config,
            error: anyhow::Error::msg(format!("`http.listen` is `{listen}`: {error}")),
            hint: Some("give `http.listen` a port".to_owned()),
        });
    };
    let scheme = if tls { "https" } else { "http" };
    let url = format!("{scheme}://{address}/readyz");
    let mut check = config::ad_hoc(&url).map_err(bug)?;
    // The certificate is for the name that others use.
    check.target.route_mut().trust = Trust::Any;
    let prober = Prober::new(&ProberSettings::default()).map_err(|error| bug(error.to_string()))?;
    let observation = prober.probe(&check.target, timeout).await;
    let (exit, said) = match (observation.response, observation.failure) {
        (Some(response), None) => (
            if response.status == 200 {
                Exit::Ok
            } else {
                Exit::Degraded
            },
            String::from_utf8_lossy(&response.body).trim().to_owned(),
        ),
        (_, failure) => (
            Exit::Degraded,
            failure.map_or_else(String::new, |failure| failure.to_string()),
        ),
    };
    out::print(&format!("{url}: {said}\n"))?;
    Ok(exit)
}

/// Where a listener at `listen` is reached from here.
fn reachable(listen: &str) -> Option<String> {
    let (host, port) = listen.rsplit_once(':')?;
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    (port != "0").then(|| format!("{host}:{port}"))
}

/// With HTTP off, whether a daemon answers on this NATS.
async fn answers(config: &Config, timeout: Duration) -> Result<Exit, Failure> {
    let asked = async {
        let store = connect(config).await?;
        store
            .ask("supercheck.list", String::new(), None, timeout)
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, error))
    };
    let (exit, said) = match tokio::time::timeout(timeout, asked).await {
        Ok(Ok(Ok(_))) => (Exit::Ok, "a daemon answers on this NATS".to_owned()),
        Ok(Ok(Err(refusal))) => (Exit::Degraded, refusal.error),
        Ok(Err(failure)) => (
            Exit::Degraded,
            crate::error::Chain(failure.error.as_ref()).to_string(),
        ),
        Err(_) => (Exit::Degraded, "no answer in time".to_owned()),
    };
    out::print(&format!("`http.listen` is off: {said}\n"))?;
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_on_loopback() {
        assert_eq!(reachable("0.0.0.0:80").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(reachable("[::]:80").as_deref(), Some("[::1]:80"));
        assert_eq!(reachable("host:80").as_deref(), Some("host:80"));
        assert_eq!(reachable("127.0.0.1:0"), None);
    }
}
