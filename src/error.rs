//! How supercheck's own trouble is told: one line per error, and the exit codes.
//!
//! A target that is down is never an error of ours; it is an observation.

use std::{error::Error, fmt};

/// Prints an error and its causes on one line, each said once.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        write!(f, "{said}")?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Some libraries (async-nats) already end with their cause.
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            next = cause.source();
        }
        Ok(())
    }
}

/// How the process ends. Health verbs follow the Nagios plugin convention,
/// supercheck's own trouble follows BSD's `sysexits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or: the check is up.
    Ok = 0,
    /// The check is degraded.
    Degraded = 1,
    /// The check is down.
    Down = 2,
    /// Nothing fresh is known of the check.
    Unknown = 3,
    /// The command line is not one that we take (`EX_USAGE`).
    Usage = 64,
    /// NATS cannot be used (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// A bug in supercheck (`EX_SOFTWARE`).
    Bug = 70,
    /// The configuration has mistakes (`EX_CONFIG`).
    Config = 78,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Self>>);
    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn each_cause_is_said_once() {
        let inner = Layer("wrong last sequence", None);
        let outer = Layer("update the key: wrong last sequence", Some(Box::new(inner)));
        assert_eq!(
            Chain(&outer).to_string(),
            "update the key: wrong last sequence"
        );

        let inner = Layer("connection refused", None);
        let outer = Layer("connect to NATS", Some(Box::new(inner)));
        assert_eq!(
            Chain(&outer).to_string(),
            "connect to NATS: connection refused"
        );
    }
}
