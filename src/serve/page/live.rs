//! What makes the page live: once a second, what has changed on it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    extract::{RawQuery, State},
    response::{Response, sse::Event},
};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::time::{Interval, MissedTickBehavior};

use super::{
    detail,
    list::Asked,
    overview,
    row::{Row, Shown},
};
use crate::{
    check::CheckName,
    clock,
    runner::Cell,
    serve::{events, http::Face, problem::Problem},
};

/// So often what has changed is sent.
const TICK: Duration = Duration::from_secs(1);

/// What one page shows.
struct Watch {
    face: Face,
    what: What,
    ticks: Interval,
    overview: String,
    shown: HashMap<CheckName, Shown>,
}

enum What {
    /// A list of these checks.
    List(Vec<CheckName>),
    /// One check.
    Check(CheckName),
}

/// `GET /live`: follows a page, `/` with the same query or, with `check`, that
/// of one check.
pub async fn live(
    State(face): State<Face>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let one = query
        .as_deref()
        .and_then(|query| query.strip_prefix("check="));
    let what = match one {
        Some(name) => What::Check(face.cell(name)?.check.name.clone()),
        None => {
            let asked = Asked::read(query.as_deref())?;
            let cells = asked.cells(&face.cells(), clock::now());
            What::List(cells.iter().map(|cell| cell.check.name.clone()).collect())
        }
    };
    let place = events::place(&face)?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = Watch {
        face: face.clone(),
        what,
        ticks,
        overview: String::new(),
        shown: HashMap::new(),
    };
    let events = stream::unfold(watch, |mut watch| async move {
        watch.ticks.tick().await;
        let news = watch.news();
        Some((stream::iter(news), watch))
    });
    Ok(events::stream(&face, place, events.flatten()))
}

impl Watch {
    /// What has changed since the last look; at the first, all of it.
    fn news(&mut self) -> Vec<Event> {
        let cells = self.face.cells();
        let mut news = Vec::new();
        match &self.what {
            What::List(names) => {
                for name in names {
                    if let Some(cell) = cells.get(name)
                        && changed(&mut self.shown, cell)
                    {
                        let html = Row::of(cell, clock::now()).html();
                        let row = json!({"check": name.as_str(), "html": html});
                        news.push(event("check", &row));
                    }
                }
                let overview = self.overview();
                if overview != self.overview {
                    news.push(Event::default().event("overview").data(&overview));
                    self.overview = overview;
                }
            }
            What::Check(name) => {
                let link = format!("{:?}", self.face.link());
                if let Some(cell) = cells.get(name)
                    && (changed(&mut self.shown, cell) || link != self.overview)
                {
                    let now = clock::now();
                    let row = Row::of(cell, now);
                    let detail = json!({
                        "html": detail::html(&self.face, cell, now),
                        "report": detail::report(cell),
                        "icon": format!("/static/{}.svg", row.status),
                        "title": format!("{name} is {} – supercheck", row.status),
                    });
                    news.push(event("detail", &detail));
                    self.overview = link;
                }
            }
        }
        news
    }

    fn overview(&self) -> String {
        let tally = self.face.tally(clock::now());
        json!({
            "html": overview::html(tally, self.face.link()),
            "counts": {
                "all": tally.all(), "up": tally.up, "degraded": tally.degraded,
                "down": tally.down, "unknown": tally.unknown,
            },
            "icon": format!("/static/{}.svg", tally.status()),
            "title": format!("{} – supercheck", tally.headline()),
        })
        .to_string()
    }
}

fn changed(shown: &mut HashMap<CheckName, Shown>, cell: &Arc<Cell>) -> bool {
    let now = Shown::of(cell, clock::now());
    if shown.get(&cell.check.name) == Some(&now) {
        return false;
    }
    shown.insert(cell.check.name.clone(), now);
    true
}

fn event(name: &str, data: &serde_json::Value) -> Event {
    Event::default().event(name).data(data.to_string())
}
