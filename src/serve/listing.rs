//! The summaries from memory, narrowed and in pages: `supercheck.list`, the
//! API's list, and the status page.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    desk::{Answer, Desk},
    params::Params,
    problem::Problem,
};
use crate::{
    clock::{self, Timestamp},
    near::nearest,
    report::{Status, Summary},
    request::Refusal,
    runner::Cell,
    triggers::Cells,
};

/// The summaries of one page take this many bytes at most.
const PAGE: usize = 512 * 1024;

impl Desk {
    /// The summaries, from memory.
    ///
    /// # Errors
    /// A refusal, for the asker.
    pub fn list(&self, body: &[u8]) -> Answer {
        let filter = Filter::parse(body).map_err(|refusal| (refusal, None))?;
        self.hits.count();
        let cells = Arc::clone(&self.cells.borrow());
        let (rows, next) = rows(&cells, &filter, usize::MAX, clock::now());
        Ok(json!({"checks": rows, "next": next}).to_string().into())
    }
}

/// The rows of a page, and after which check the next one begins.
pub fn rows(
    cells: &Cells,
    filter: &Filter,
    limit: usize,
    now: Timestamp,
) -> (Vec<Value>, Option<Value>) {
    let (mut rows, mut size) = (Vec::<Value>::new(), 0);
    for cell in filter.of(cells, now) {
        let row = row(cell, now);
        size += row.to_string().len();
        if size > PAGE || rows.len() == limit {
            let next = rows.last().and_then(|row| row.get("check").cloned());
            return (rows, next);
        }
        rows.push(row);
    }
    (rows, None)
}

/// What is known of a check, as JSON.
pub fn row(cell: &Cell, now: Timestamp) -> Value {
    let check = &cell.check;
    let mut row = match cell.newest() {
        Some(summary) => {
            let mut row = serde_json::to_value(&summary).unwrap_or_default();
            if let Some(row) = row.as_object_mut() {
                row.insert("status".to_owned(), json!(summary.status_at(now)));
                row.insert("freshness".to_owned(), json!(summary.freshness(now)));
            }
            row
        }
        None => json!({
            "check": check.name.as_str(), "url": check.shown_url,
            "status": "unknown", "freshness": "absent",
        }),
    };
    if let Some(row) = row.as_object_mut() {
        row.insert("group".to_owned(), json!(check.group));
        row.insert("tags".to_owned(), json!(check.tags));
    }
    row
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Checks with this tag.
    pub tag: Option<String>,
    /// Checks of this group.
    pub group: Option<String>,
    /// Checks with this status now.
    pub status: Option<Status>,
    /// Checks whose names come after this.
    pub after: Option<String>,
    /// Checks that say this anywhere, in small letters.
    pub search: Option<String>,
}

impl Filter {
    /// Reads `tag`, `group`, `status`, `after` and `q` of a query.
    ///
    /// # Errors
    /// When the status is none.
    pub fn of_query(params: &mut Params) -> Result<Self, Problem> {
        Ok(Self {
            status: params.value("status")?,
            after: params.text("after"),
            search: params.text("q").map(|text| text.to_lowercase()),
            ..Self::of_group_and_tag(params)
        })
    }

    /// Reads `tag` and `group` of a query.
    pub fn of_group_and_tag(params: &mut Params) -> Self {
        Self {
            tag: params.text("tag"),
            group: params.text("group"),
            ..Self::default()
        }
    }

    /// The checks that it takes, in the order of their names.
    pub fn of<'a>(
        &'a self,
        cells: &'a Cells,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Arc<Cell>> {
        let after = self.after.as_deref();
        cells
            .values()
            .filter(move |cell| after.is_none_or(|after| cell.check.name.as_str() > after))
            .filter(|cell| self.takes(cell))
            .filter(move |cell| {
                (self.status.is_none() && self.search.is_none())
                    || cell.look(|summary, _| self.takes_now(cell, summary, now))
            })
    }

    /// Whether it takes the check, whatever its status.
    pub fn takes(&self, cell: &Cell) -> bool {
        let check = &cell.check;
        self.tag.as_ref().is_none_or(|tag| check.tags.contains(tag))
            && self
                .group
                .as_ref()
                .is_none_or(|group| check.group.as_ref() == Some(group))
    }

    fn takes_now(&self, cell: &Cell, summary: Option<&Summary>, now: Timestamp) -> bool {
        let status = summary.map_or(Status::Unknown, |summary| summary.status_at(now));
        let check = &cell.check;
        let says = |search: &String| {
            let texts = [check.name.as_str(), &check.shown_url]
                .into_iter()
                .chain(check.group.as_deref())
                .chain(check.tags.iter().map(String::as_str))
                .chain(summary.map(|summary| summary.message.as_str()));
            texts
                .into_iter()
                .any(|text| text.to_lowercase().contains(search.as_str()))
        };
        self.status.is_none_or(|wanted| wanted == status) && self.search.as_ref().is_none_or(says)
    }

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
}
