//! `supercheck demo-target`: a target for trying things out.

use anyhow::Context as _;
use clap::Args;

use super::{Failure, out};
use crate::{error::Exit, serve::demo_target};

/// What `demo-target` is told.
#[derive(Debug, Args)]
pub struct Options {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8089", value_name = "ADDRESS")]
    listen: String,
}

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the address is taken.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    out::block_on(async {
        let failed = |error| Failure::new(Exit::Unavailable, error);
        let listener = tokio::net::TcpListener::bind(&options.listen)
            .await
            .with_context(|| format!("listen on `{}`", options.listen))
            .map_err(failed)?;
        let address = listener
            .local_addr()
            .context("read the address")
            .map_err(failed)?;
        out::print(&format!("serving http://{address}/\n"))?;
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .context("listen for signals")
                .map_err(failed)?;
        let until = async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        demo_target::serve(listener, until)
            .await
            .context("serve")
            .map_err(failed)?;
        Ok(Exit::Ok)
    })
}
