//! `supercheck.maintenance.<check>`: sets a maintenance flag with an expiry,
//! or takes it away.

use std::time::Duration;

use serde_json::{Value, json};

use super::desk::{Answer, Desk, away};
use crate::{
    clock,
    near::nearest,
    request::{Refusal, What},
    store::flags::{Flag, MAX_FLAG},
    worker::{find, unknown},
};

/// A reason is at most this long, in bytes: every summary repeats it.
const MAX_REASON: usize = 256;
const KEYS: [&str; 3] = ["for", "reason", "clear"];
const EXAMPLE: &str = "send `{\"for\": \"2h\", \"reason\": \"deploy\"}`, or `{\"clear\": true}`";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Set { lasts: Duration, reason: String },
    Clear,
}

impl Desk {
    /// Sets or clears the maintenance flag of `check`.
    ///
    /// # Errors
    /// A refusal, for the asker.
    pub async fn maintain(&self, check: &str, body: &[u8]) -> Answer {
        self.ordered(check, body)
            .await
            .map(|answer| answer.to_string().into())
            .map_err(|refusal| (refusal, None))
    }

    async fn ordered(&self, check: &str, body: &[u8]) -> Result<Value, Refusal> {
        let what = What::Check(check.to_owned());
        let cells = self.cells.borrow().clone();
        let cell = find(&cells, &what).ok_or_else(|| unknown(&cells, &what))?;
        let check = cell.check.name.as_str();
        let maintenance = self.runner.maintenance();
        match Order::parse(body)? {
            Order::Clear => {
                self.store.clear_flag(check).await.map_err(away)?;
                maintenance.note(check, None);
                tracing::info!(check, "maintenance ended");
                Ok(json!({"check": check, "maintenance": false}))
            }
            Order::Set { lasts, reason } => {
                let until = clock::now() + lasts;
                let flag = Flag {
                    v: 1,
                    check: check.to_owned(),
                    until,
                    reason,
                };
                self.store.set_flag(&flag).await.map_err(away)?;
                maintenance.note(check, Some(&flag));
                let reason = &flag.reason;
                tracing::info!(check, %until, reason, "maintenance began");
                Ok(json!({"check": check, "maintenance": true, "until": until, "reason": reason}))
            }
        }
    }
}

impl Order {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::Clear);
        }
        let object: serde_json::Map<String, Value> =
            serde_json::from_slice(body).map_err(|error| {
                Refusal::malformed(format!("the request is no JSON object: {error}"), EXAMPLE)
            })?;
        let (mut lasts, mut reason, mut clear) = (None, String::new(), false);
        for (key, value) in object {
            match (key.as_str(), value) {
                ("for", Value::String(text)) => lasts = Some(duration(&text)?),
                ("reason", Value::String(text)) => reason = sound(text)?,
                ("clear", Value::Bool(truth)) => clear = truth,
                (known, _) if KEYS.contains(&known) => {
                    let message = format!("`{known}` is of another kind");
                    return Err(Refusal::malformed(message, EXAMPLE));
                }
                (key, _) => {
                    let near = nearest(key, KEYS);
                    let hint = near.map_or_else(
                        || EXAMPLE.to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    return Err(Refusal::malformed(format!("unknown key `{key}`"), hint));
                }
            }
        }
        match (lasts, clear) {
            (Some(lasts), false) => Ok(Self::Set { lasts, reason }),
            (None, true) => Ok(Self::Clear),
            (Some(_), true) => Err(Refusal::malformed("both `for` and `clear`", EXAMPLE)),
            (None, false) => Err(Refusal::malformed("neither `for` nor `clear`", EXAMPLE)),
        }
    }
}

fn duration(text: &str) -> Result<Duration, Refusal> {
    let hint = "write a number and a unit, such as `2h`, at most `30days`";
    match humantime::parse_duration(text) {
        Ok(lasts) if !lasts.is_zero() && lasts <= MAX_FLAG => Ok(lasts),
        Ok(_) => Err(Refusal::malformed(
            format!("no maintenance lasts for `{text}`"),
            hint,
        )),
        Err(_) => Err(Refusal::malformed(
            format!("`for` is `{text}`, which is not a duration"),
            hint,
        )),
    }
}

fn sound(reason: String) -> Result<String, Refusal> {
    if reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(Refusal::malformed(
            "the reason is too long, or not a line of text",
            format!("make it one line of at most {MAX_REASON} bytes"),
        ));
    }
    Ok(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_or_refused_with_what_helps() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let set = |lasts, reason: &str| Order::Set {
            lasts,
            reason: reason.to_owned(),
        };
        for (body, order) in [
            ("", Order::Clear),
            (" \n", Order::Clear),
            (r#"{"clear": true}"#, Order::Clear),
            (r#"{"for": "2h"}"#, set(hours(2), "")),
            (
                r#"{"reason": "deploy", "for": "30days"}"#,
                set(MAX_FLAG, "deploy"),
            ),
        ] {
            assert_eq!(Order::parse(body.as_bytes()).unwrap(), order, "{body}");
        }
        for (body, why) in [
            ("2h", "no JSON object"),
            ("{}", "neither"),
            (r#"{"for": "2h", "clear": true}"#, "both"),
            (r#"{"for": 2}"#, "another kind"),
            (r#"{"for": "2"}"#, "not a duration"),
            (r#"{"for": "0s"}"#, "lasts"),
            (r#"{"for": "31days"}"#, "lasts"),
            (r#"{"resaon": "x", "for": "1h"}"#, "unknown key"),
            (r#"{"reason": "a\nb", "for": "1h"}"#, "line"),
        ] {
            let refusal = Order::parse(body.as_bytes()).unwrap_err();
            assert_eq!(refusal.code, 400, "{body}");
            assert!(refusal.error.contains(why), "{body}: {}", refusal.error);
            assert!(!refusal.hint.is_empty(), "{body}");
        }
    }
}
