//! `supercheck.list`: the summaries from memory, narrowed and in pages.

use std::sync::Arc;

use serde_json::{Value, json};

use super::desk::{Answer, Desk};
use crate::{clock, near::nearest, report::Status, request::Refusal, runner::Cell};

/// The summaries of one page take this many bytes at most.
const PAGE: usize = 512 * 1024;

impl Desk {
    /// The summaries, from memory.
    ///
    /// # Errors
    /// A refusal, for the asker.
    pub fn list(&self, body: &[u8]) -> Answer {
        let filter = Filter::parse(body).map_err(|refusal| (refusal, None))?;
        let now = clock::now();
        let (mut rows, mut size, mut next) = (Vec::new(), 0, None);
        let cells = Arc::clone(&self.cells.borrow());
        for cell in cells.values() {
            let name = cell.check.name.as_str();
            if filter.after.as_deref().is_some_and(|after| name <= after) || !filter.takes(cell) {
                continue;
            }
            let row = row(cell, now);
            let status = row.get("status").and_then(Value::as_str);
            if filter
                .status
                .is_some_and(|wanted| status != Some(wanted.as_str()))
            {
                continue;
            }
            size += row.to_string().len();
            if size > PAGE {
                next = rows
                    .last()
                    .and_then(|row: &Value| row.get("check").cloned());
                break;
            }
            rows.push(row);
        }
        Ok(json!({"checks": rows, "next": next}).to_string().into())
    }
}

fn row(cell: &Cell, now: clock::Timestamp) -> Value {
    let Some(summary) = cell.newest() else {
        let check = cell.check.name.as_str();
        return json!({"check": check, "status": "unknown", "freshness": "absent"});
    };
    let mut row = serde_json::to_value(&summary).unwrap_or_default();
    if let Some(row) = row.as_object_mut() {
        row.insert("status".to_owned(), json!(summary.status_at(now)));
        row.insert("freshness".to_owned(), json!(summary.freshness(now)));
    }
    row
}

/// What a list is narrowed to.
#[derive(Debug, Default)]
struct Filter {
    tag: Option<String>,
    group: Option<String>,
    status: Option<Status>,
    after: Option<String>,
}

impl Filter {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        const HINT: &str =
            "send nothing, or JSON such as `{\"group\": \"shop\", \"status\": \"down\"}`";
        let mut filter = Self::default();
        if body.trim_ascii().is_empty() {
            return Ok(filter);
        }
        let object: serde_json::Map<String, Value> =
            serde_json::from_slice(body).map_err(|error| {
                Refusal::malformed(format!("the request is not JSON: {error}"), HINT)
            })?;
        for (key, value) in object {
            let Value::String(value) = value else {
                return Err(Refusal::malformed(format!("`{key}` is not a string"), HINT));
            };
            match key.as_str() {
                "tag" => filter.tag = Some(value),
                "group" => filter.group = Some(value),
                "after" => filter.after = Some(value),
                "status" => {
                    let status = value
                        .parse()
                        .map_err(|error| Refusal::malformed(error, HINT))?;
                    filter.status = Some(status);
                }
                _ => {
                    let near = nearest(&key, ["tag", "group", "status", "after"]);
                    let hint =
                        near.map_or(HINT.to_owned(), |near| format!("did you mean `{near}`?"));
                    return Err(Refusal::malformed(format!("unknown key `{key}`"), hint));
                }
            }
        }
        Ok(filter)
    }

    fn takes(&self, cell: &Cell) -> bool {
        let check = &cell.check;
        self.tag.as_ref().is_none_or(|tag| check.tags.contains(tag))
            && self
                .group
                .as_ref()
                .is_none_or(|group| check.group.as_ref() == Some(group))
    }
}
