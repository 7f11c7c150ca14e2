//! What a request asks, and whether it can be done here.

use std::sync::Arc;

use super::{
    Worker,
    later::{Later, MAX_WAIT},
    visit,
};
use crate::{
    request::{Ask, Refusal, What},
    runner::Cell,
    store::queue::{Delivered, URL_TOKEN},
    triggers::Cells,
};

/// Instances may know different checks: a request for one that this instance
/// does not know goes back so often before it is refused.
const UNKNOWN_DELIVERIES: u64 = 3;

/// Why a request cannot be done here.
enum Unfit {
    /// Its host has its share of what is in hand.
    Crowded,
    /// Another instance may know the check.
    Unknown(Refusal),
    /// Nobody can.
    Refused(Refusal),
}

impl From<Refusal> for Unfit {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Worker {
    /// What is asked, in the words of the record, and the check that it is, or
    /// why nobody can run it.
    pub(super) async fn asked(
        &self,
        request: &Delivered,
    ) -> Result<(String, Result<Arc<Cell>, Refusal>), Later> {
        let age = self.store.age(request, MAX_WAIT).await?;
        let ask = Ask::parse(request.taken.body());
        let what = match &ask {
            Ok(Ask {
                what: Some(What::Url(url)),
                ..
            }) if request.token == URL_TOKEN => What::Url(url.clone()),
            _ => What::Check(request.token.clone()),
        };
        let is_old = age > MAX_WAIT;
        let cell = match ask {
            Err(refusal) => Err(refusal.into()),
            Ok(_) => self.cell(&what),
        };
        let fit = match cell {
            Ok(cell) if cell.check.is_push() => Err(Refusal::of_push(cell.check.name.as_str())),
            Ok(_) | Err(Unfit::Crowded) if is_old => Err(Refusal::too_old(age)),
            Ok(cell) => Ok(cell),
            Err(Unfit::Crowded) => {
                self.runner.requests.denied.count();
                return Err(Later::Crowded);
            }
            Err(Unfit::Unknown(refusal)) => {
                let few = request.deliveries < UNKNOWN_DELIVERIES;
                if !is_old && (few || self.is_run_elsewhere(&what).await?) {
                    return Err(Later::Elsewhere);
                }
                Err(refusal)
            }
            Err(Unfit::Refused(refusal)) => Err(refusal),
        };
        Ok((what.fingerprint(), fit))
    }

    /// How often it was delivered says little: it may have gone back for want
    /// of room. Whoever runs a check keeps its summary fresh.
    async fn is_run_elsewhere(&self, what: &What) -> Result<bool, Later> {
        Ok(match what {
            What::Check(name) => self.store.is_run(name).await?,
            What::Url(_) => false,
        })
    }

    fn cell(&self, what: &What) -> Result<Arc<Cell>, Unfit> {
        let cells = Arc::clone(&self.cells.borrow());
        match (find(&cells, what), what) {
            (Some(cell), _) => Ok(cell),
            (None, What::Check(_)) => Err(Unfit::Unknown(unknown(&cells, what))),
            (None, What::Url(url)) => {
                let allow = &self.store.settings().requests.allow;
                let check = visit(url, allow).map_err(Unfit::Unknown)?;
                // Of a flood no more is made than can be in hand.
                if !self.runner.requests.leaves(check.target.asked_host()) {
                    return Err(Unfit::Crowded);
                }
                // It has no expectations, so none is wrong.
                let cell = self.runner.visit(&Arc::new(check));
                Ok(cell.map_err(|error| Refusal::malformed(error.to_string(), ""))?)
            }
        }
    }
}

/// The check that is meant: by its name, its URL, or its object's name.
pub fn find(cells: &Cells, what: &What) -> Option<Arc<Cell>> {
    let found = match what {
        What::Check(name) => cells.get(name.as_str()),
        What::Url(url) => cells
            .values()
            .find(|cell| *cell.check.object == *url || *cell.check.shown_url == *url),
    };
    found.cloned()
}

/// The refusal of what is no check.
pub fn unknown(cells: &Cells, what: &What) -> Refusal {
    match what {
        What::Check(name) => {
            let names = cells.keys().map(crate::check::CheckName::as_str);
            let hint = match crate::near::nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("`supercheck.list` names all {}", cells.len()),
            };
            Refusal::new(404, format!("no check is named `{name}`"), hint)
        }
        What::Url(url) => Refusal::new(
            403,
            format!("`{url}` is the URL of no check"),
            "add a `[[check]]` for it",
        ),
    }
}
