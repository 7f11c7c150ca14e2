//! The figures, as a table and as JSON.

use std::{fs, path::Path};

use serde_json::json;

/// Values of one quantity, one of each window.
#[derive(Clone, Debug, Default)]
pub struct Values(pub Vec<f64>);

impl Values {
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// Half of how far the values are apart, as a share of their median.
    pub fn spread(&self) -> f64 {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let middle = self.median().abs();
        // Of nothing there is no share.
        if middle < 1e-3 {
            return f64::NAN;
        }
        (most - least) / 2.0 / middle
    }
}

impl From<f64> for Values {
    fn from(value: f64) -> Self {
        Self(vec![value])
    }
}

/// What a figure is meant to be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    None,
    AtMost(f64),
    AtLeast(f64),
}

struct Figure {
    row: String,
    what: String,
    values: Values,
    unit: &'static str,
    goal: Goal,
}

impl Figure {
    fn met(&self) -> Option<bool> {
        let value = self.values.median();
        match self.goal {
            Goal::None => None,
            Goal::AtMost(most) => Some(value <= most),
            Goal::AtLeast(least) => Some(value >= least),
        }
    }

    fn goal(&self) -> String {
        match self.goal {
            Goal::None => String::new(),
            Goal::AtMost(most) => format!("<= {most}"),
            Goal::AtLeast(least) => format!(">= {least}"),
        }
    }
}

/// Everything measured so far.
#[derive(Default)]
pub struct Figures {
    figures: Vec<Figure>,
}

impl Figures {
    /// Notes a figure, and says it at once.
    pub fn note(
        &mut self,
        row: &str,
        what: &str,
        values: impl Into<Values>,
        unit: &'static str,
        goal: Goal,
    ) {
        let figure = Figure {
            row: row.to_owned(),
            what: what.to_owned(),
            values: values.into(),
            unit,
            goal,
        };
        eprintln!("{}", line(&figure));
        self.figures.push(figure);
    }

    /// Prints the table, and writes the JSON beside the build.
    pub fn print(&self) {
        println!(
            "\n| row | figure | median | unit | +/- % | goal | met |\n|---|---|---:|---|---:|---|---|"
        );
        for figure in &self.figures {
            println!("{}", line(figure));
        }
        let missed: Vec<_> = self
            .figures
            .iter()
            .filter(|figure| figure.met() == Some(false))
            .collect();
        println!(
            "\n{} figures, {} goals missed",
            self.figures.len(),
            missed.len()
        );
        let list: Vec<_> = self
            .figures
            .iter()
            .map(|figure| {
                json!({
                    "row": figure.row, "figure": figure.what, "median": figure.values.median(),
                    "unit": figure.unit, "windows": figure.values.0, "goal": figure.goal(),
                    "met": figure.met(),
                })
            })
            .collect();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load.json");
        fs::write(&file, serde_json::to_string_pretty(&list).unwrap()).unwrap();
        println!("as JSON: {}", file.display());
    }
}

fn line(figure: &Figure) -> String {
    let spread = if figure.values.0.len() > 1 && figure.values.spread().is_finite() {
        format!("{:.0}", figure.values.spread() * 100.0)
    } else {
        String::new()
    };
    let met = match figure.met() {
        None => "",
        Some(true) => "yes",
        Some(false) => "NO",
    };
    let (row, what, unit, goal) = (&figure.row, &figure.what, figure.unit, figure.goal());
    let median = figure.values.median();
    let shown = if median.abs() >= 1000.0 {
        format!("{median:.0}")
    } else if median.abs() >= 10.0 {
        format!("{median:.1}")
    } else {
        format!("{median:.2}")
    };
    format!("| {row} | {what} | {shown} | {unit} | {spread} | {goal} | {met} |")
}
