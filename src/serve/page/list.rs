//! `/`: all checks, by group, narrowed and in pages.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;

use super::{
    Frame,
    overview::{self, Tally},
    row::{Row, status},
};
use crate::{
    clock::Timestamp,
    report::Status,
    runner::Cell,
    serve::{http::Face, listing::Filter, params::Params, problem::Problem},
    triggers::Cells,
};

/// Checks on one page: some 150 KB of HTML.
const PAGE: usize = 100;
/// Checks that are down or degraded stand first, up to so many.
const MAX_ATTENTION: usize = 10;
/// Fewer checks than that are seen at a glance anyway.
const FEW: usize = 20;
/// So many groups and tags are offered to choose from.
const MAX_CHOICES: usize = 200;

/// Which checks are asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    filter: Filter,
    page: usize,
}

impl Asked {
    /// Reads the query of `/`.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut params = Params::read(query)?;
        let filter = Filter::of_query(&mut params)?;
        let page = params.count("page", 1, 100_000)?;
        params.finish()?;
        Ok(Self { filter, page })
    }

    /// The same question with another status or page.
    fn href(&self, path: &str, status: Option<Status>, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let filter = &self.filter;
        let pairs = [
            ("q", filter.search.as_deref()),
            ("group", filter.group.as_deref()),
            ("tag", filter.tag.as_deref()),
            ("status", status.map(Status::as_str)),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        match query.finish() {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }

    /// The checks of this page, by group; those without one come last.
    fn chosen(&self, cells: &Cells, now: Timestamp) -> Chosen {
        let mut all: Vec<_> = self.filter.of(cells, now).map(Arc::clone).collect();
        // Groups only matter where there are some; names are in order already.
        all.sort_by(|a, b| group(a).cmp(&group(b)));
        let total = all.len();
        let attention = if total > FEW && self.filter.status.is_none() && self.page == 1 {
            attention(&all, now)
        } else {
            Vec::new()
        };
        let first = (self.page - 1).saturating_mul(PAGE);
        let cells: Vec<_> = all.into_iter().skip(first).take(PAGE).collect();
        Chosen {
            total,
            first,
            attention,
            cells,
        }
    }

    /// The checks that this page shows.
    pub fn cells(&self, cells: &Cells, now: Timestamp) -> Vec<Arc<Cell>> {
        let Chosen {
            mut cells,
            attention,
            ..
        } = self.chosen(cells, now);
        for cell in attention {
            if !cells.iter().any(|one| one.check.name == cell.check.name) {
                cells.push(cell);
            }
        }
        cells
    }
}

/// The checks of a page.
struct Chosen {
    total: usize,
    first: usize,
    attention: Vec<Arc<Cell>>,
    cells: Vec<Arc<Cell>>,
}

fn group(cell: &Cell) -> (bool, &str) {
    let group = cell.check.group.as_deref();
    (group.is_none(), group.unwrap_or_default())
}

fn attention(cells: &[Arc<Cell>], now: Timestamp) -> Vec<Arc<Cell>> {
    let of = |wanted: Status| {
        let is = move |cell: &&Arc<Cell>| cell.look(|summary, _| status(summary, now)) == wanted;
        cells.iter().filter(is)
    };
    of(Status::Down)
        .chain(of(Status::Degraded))
        .take(MAX_ATTENTION)
        .cloned()
        .collect()
}

/// A way to narrow the list by status.
struct Chip {
    class: &'static str,
    label: &'static str,
    count: usize,
    href: String,
    chosen: bool,
}

/// A word to choose.
pub struct Choice {
    /// The word.
    pub word: String,
    /// Where it leads.
    pub href: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// Checks under a title.
struct Section {
    title: String,
    note: String,
    attention: bool,
    rows: Vec<String>,
}

#[derive(Template)]
#[template(path = "list.html", config = "src/serve/page/askama.toml")]
struct ListPage {
    frame: Frame,
    headline: String,
    overview: String,
    chips: Vec<Chip>,
    q: String,
    status: Option<&'static str>,
    groups: Vec<Choice>,
    tags: Vec<Choice>,
    sections: Vec<Section>,
    nothing: &'static str,
    before: Option<String>,
    after: Option<String>,
    range: String,
}

/// The page.
pub fn html(face: &Face, asked: &Asked, now: Timestamp) -> String {
    let cells = face.cells();
    let tally = face.tally(now);
    let chosen = asked.chosen(&cells, now);
    let last = chosen.first + chosen.cells.len();
    let status = asked.filter.status;
    let page = ListPage {
        frame: Frame::new(
            face,
            tally.status(),
            asked.href("/live", status, asked.page),
            now,
        ),
        headline: tally.headline(),
        overview: overview::html(tally, face.link()),
        chips: chips(asked, tally),
        q: asked.filter.search.clone().unwrap_or_default(),
        status: status.map(Status::as_str),
        groups: choices(
            cells.values().filter_map(|cell| cell.check.group.as_ref()),
            asked.filter.group.as_ref(),
        ),
        tags: choices(
            cells.values().flat_map(|cell| &cell.check.tags),
            asked.filter.tag.as_ref(),
        ),
        nothing: if tally.all() == 0 {
            "No checks are configured yet."
        } else {
            "No check is like that."
        },
        before: (asked.page > 1).then(|| asked.href("/", status, asked.page - 1)),
        after: (last < chosen.total).then(|| asked.href("/", status, asked.page + 1)),
        range: match chosen.total {
            total if total <= PAGE => String::new(),
            total => format!("{} to {last} of {total}", chosen.first + 1),
        },
        sections: sections(&chosen, now),
    };
    page.render().unwrap_or_default()
}

fn chips(asked: &Asked, tally: Tally) -> Vec<Chip> {
    let chip = |class, label, count, status: Option<Status>| Chip {
        class,
        label,
        count,
        href: asked.href("/", status, 1),
        chosen: asked.filter.status == status,
    };
    vec![
        chip("all", "all", tally.all(), None),
        chip("down", "down", tally.down, Some(Status::Down)),
        chip(
            "degraded",
            "degraded",
            tally.degraded,
            Some(Status::Degraded),
        ),
        chip("unknown", "unknown", tally.unknown, Some(Status::Unknown)),
        chip("up", "up", tally.up, Some(Status::Up)),
    ]
}

fn choices<'a>(words: impl Iterator<Item = &'a String>, chosen: Option<&String>) -> Vec<Choice> {
    let words: BTreeSet<_> = words.collect();
    let choice = |word: &String| Choice {
        word: word.clone(),
        href: String::new(),
        chosen: Some(word) == chosen,
    };
    words.into_iter().take(MAX_CHOICES).map(choice).collect()
}

fn sections(chosen: &Chosen, now: Timestamp) -> Vec<Section> {
    let html = |cell: &Arc<Cell>| Row::of(cell, now).html();
    let mut sections = Vec::new();
    if !chosen.attention.is_empty() {
        sections.push(Section {
            title: "Needs attention".to_owned(),
            note: String::new(),
            attention: true,
            rows: chosen.attention.iter().map(html).collect(),
        });
    }
    let grouped = chosen.cells.iter().any(|cell| cell.check.group.is_some());
    for members in chosen.cells.chunk_by(|a, b| group(a) == group(b)) {
        let Some(first) = members.first() else {
            continue;
        };
        let title = match &first.check.group {
            Some(group) => group.clone(),
            None if grouped => "Without a group".to_owned(),
            None => "Checks".to_owned(),
        };
        let up = members
            .iter()
            .filter(|cell| cell.look(|summary, _| status(summary, now)) == Status::Up);
        sections.push(Section {
            title,
            note: format!("{} of {} up", up.count(), members.len()),
            attention: false,
            rows: members.iter().map(html).collect(),
        });
    }
    sections
}
