//! The query of a URL, read strictly: what is unknown, twice there or not a
//! value is told with what helps.

use std::{fmt::Display, str::FromStr, time::Duration};

use super::problem::Problem;
use crate::{clock::Timestamp, near::nearest};

/// A longer query is refused: nothing here needs one.
const MAX_QUERY: usize = 4096;

/// The parameters of a query, each taken once.
#[derive(Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    asked: Vec<&'static str>,
}

impl Params {
    /// Reads a query.
    ///
    /// # Errors
    /// When it is too long, or names a parameter twice.
    pub fn read(query: Option<&str>) -> Result<Self, Problem> {
        let query = query.unwrap_or_default();
        if query.len() > MAX_QUERY {
            return Err(Problem::malformed(
                format!("the query has {} bytes", query.len()),
                format!("use at most {MAX_QUERY}"),
            ));
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if pairs.iter().any(|(known, _)| *known == key) {
                let detail = format!("`{key}` stands twice in the query");
                return Err(Problem::malformed(detail, "write it once"));
            }
            pairs.push((key.into_owned(), value.into_owned()));
        }
        Ok(Self {
            pairs,
            asked: Vec::new(),
        })
    }

    /// The text under `name`, if it is there and not empty.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.asked.push(name);
        let at = self.pairs.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.pairs.swap_remove(at);
        (!value.is_empty()).then_some(value)
    }

    /// The value under `name`.
    ///
    /// # Errors
    /// When it is none.
    pub fn value<T>(&mut self, name: &'static str) -> Result<Option<T>, Problem>
    where
        T: FromStr<Err: Display>,
    {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let value = text.parse().map_err(|error: T::Err| {
            Problem::malformed(format!("`{name}` cannot be `{text}`"), format!("{error}"))
        })?;
        Ok(Some(value))
    }

    /// The number under `name`, from 1 to `most`, or `default`.
    ///
    /// # Errors
    /// When it is another.
    pub fn count(
        &mut self,
        name: &'static str,
        default: usize,
        most: usize,
    ) -> Result<usize, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        match text.parse() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            Ok(_) | Err(_) => Err(Problem::malformed(
                format!("`{name}` cannot be `{text}`"),
                format!("use a number from 1 to {most}"),
            )),
        }
    }

    /// The duration under `name`.
    ///
    /// # Errors
    /// When it is none.
    pub fn duration(&mut self, name: &'static str) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match humantime::parse_duration(&text) {
            Ok(duration) => Ok(Some(duration)),
            Err(_) => Err(Problem::malformed(
                format!("`{name}` is `{text}`, which is not a duration"),
                "write a number and a unit, such as `10s`, `15m` or `1day`",
            )),
        }
    }

    /// The moment under `name`: a time, or so long before `now`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn moment(
        &mut self,
        name: &'static str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        if let Ok(at) = text.parse() {
            return Ok(Some(at));
        }
        match humantime::parse_duration(&text) {
            Ok(ago) => {
                let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
                let at = now.as_millis().saturating_sub(ago);
                Ok(Some(Timestamp::from_millis(at)))
            }
            Err(_) => Err(Problem::malformed(
                format!("`{name}` is `{text}`, which is neither a time nor a duration"),
                "write such as `2026-11-24T06:00:00Z`, or `1h` for an hour ago",
            )),
        }
    }

    /// Everything has been asked for.
    ///
    /// # Errors
    /// When something is left.
    pub fn finish(self) -> Result<(), Problem> {
        let Some((left, _)) = self.pairs.first() else {
            return Ok(());
        };
        let hint = match nearest(left, self.asked.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.asked.is_empty() => "there are no parameters here".to_owned(),
            None => format!("there are `{}`", self.asked.join("`, `")),
        };
        let detail = format!("unknown parameter `{left}`");
        Err(Problem::malformed(detail, hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_value_is_told() {
        let mut params = Params::read(Some("limit=0&since=soon&a=1&a")).unwrap_err();
        let said =
            |problem: Problem| serde_json::to_value(problem.document()).unwrap()["detail"].clone();
        assert_eq!(said(params.clone()), "`a` stands twice in the query");
        let mut read = Params::read(Some("limit=0&since=soon&stat=up")).unwrap();
        params = read.count("limit", 1, 9).unwrap_err();
        assert_eq!(said(params), "`limit` cannot be `0`");
        let now = Timestamp::from_millis(5000);
        let soon = read.moment("since", now).unwrap_err();
        assert_eq!(
            said(soon),
            "`since` is `soon`, which is neither a time nor a duration"
        );
        read.text("status");
        let left = serde_json::to_value(read.finish().unwrap_err().document()).unwrap();
        assert_eq!(left["hint"], "did you mean `status`?");
    }

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let now = Timestamp::from_millis(5000);
        let mut read = Params::read(Some("a=1s&b=1970-01-01T00:00:03Z&c=")).unwrap();
        let at = |ms| Some(Timestamp::from_millis(ms));
        assert_eq!(read.moment("a", now).unwrap(), at(4000));
        assert_eq!(read.moment("b", now).unwrap(), at(3000));
        assert_eq!(read.moment("c", now).unwrap(), None);
        read.finish().unwrap();
    }
}
