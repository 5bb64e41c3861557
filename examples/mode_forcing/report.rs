//! The results as rows, tables and JSON.

use std::fmt::Write;

use serde::Serialize;
use toy::{Counts, Mixture};

use crate::Done;
use crate::bound::Terms;

/// The source of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// The mixture itself.
    Data,
    /// A generator trained by IMLE, with pools of this number of codes.
    Imle(usize),
    /// A diffusion model with this number of steps.
    Diffusion(usize),
}

/// The results of one model of one mixture.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The mixture's name.
    pub setting: &'static str,
    /// The model.
    pub model: Model,
    /// The counts of its samples.
    pub counts: Counts,
    /// The terms of its bound, for diffusion in one dimension.
    pub terms: Option<Terms>,
    /// Its samples, row by row.
    #[serde(skip)]
    pub samples: Vec<f32>,
}

impl Row {
    /// Creates a row without terms.
    pub fn new(setting: &'static str, model: Model, mixture: &Mixture, samples: Vec<f32>) -> Self {
        Self {
            setting,
            model,
            counts: mixture.count(&samples),
            terms: None,
            samples,
        }
    }
}

/// A diffusion model trained with weighted divergences.
#[derive(Debug, Clone, Serialize)]
pub struct Weighted {
    /// The mixture's name.
    pub setting: &'static str,
    /// λ.
    pub weight: f64,
    /// The counts of its samples.
    pub counts: Counts,
    /// The terms of its bound.
    pub terms: Terms,
    /// q(x_1 | x_0) and p(x_1 | x_0) on the grid, where x_0 is the center of the second mode.
    #[serde(skip)]
    pub first_step: [Vec<f64>; 2],
}

impl Weighted {
    /// Creates a row with the counts of these samples.
    pub fn new(
        setting: &'static str,
        weight: f64,
        mixture: &Mixture,
        samples: &[f32],
        terms: Terms,
        first_step: [Vec<f64>; 2],
    ) -> Self {
        Self {
            setting,
            weight,
            counts: mixture.count(samples),
            terms,
            first_step,
        }
    }
}

/// All results.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Numbers {
    /// One row for each model of each mixture.
    pub rows: Vec<Row>,
    /// One row for each one-dimensional mixture and each weight.
    pub weighted: Vec<Weighted>,
}

impl Numbers {
    /// Adds a result. The order does not matter.
    pub fn add(&mut self, done: Done) {
        match done {
            Done::Row(row) => self.rows.push(row),
            Done::Weighted(weighted) => self.weighted.push(weighted),
        }
    }

    /// Sorts the mixtures in this order, and the models and weights of each mixture in their own
    /// order.
    pub fn sort(&mut self, settings: &[&str]) {
        let place = |name: &str| settings.iter().position(|setting| *setting == name);
        self.rows.sort_by_key(|row| (place(row.setting), row.model));
        self.weighted.sort_by(|one, other| {
            let settings = place(one.setting).cmp(&place(other.setting));
            settings.then(one.weight.total_cmp(&other.weight))
        });
    }
}

/// Returns the results as Markdown tables.
pub fn tables(numbers: &Numbers) -> String {
    let mut text = String::from(
        "| points | model | spurious | dropped | log-likelihood | bound | sum of KL | best log-likelihood |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for row in &numbers.rows {
        let model = match row.model {
            Model::Data => "(the data)".to_owned(),
            Model::Imle(pool) => format!("IMLE, m = {pool}"),
            Model::Diffusion(steps) => format!("diffusion, T = {steps}"),
        };
        let terms = row.terms.as_ref().map_or("| | | | ".to_owned(), of_terms);
        let Counts { spurious, dropped } = row.counts;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {model} | {:.2} % | {dropped} {terms}|",
            row.setting,
            100.0 * spurious
        );
    }
    text.push_str(
        "\n| points | weight of the divergences | spurious | dropped | log-likelihood | bound | sum of KL | best log-likelihood |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for row in &numbers.weighted {
        let Counts { spurious, dropped } = row.counts;
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} % | {dropped} {}|",
            row.setting,
            row.weight,
            100.0 * spurious,
            of_terms(&row.terms)
        );
    }
    text
}

fn of_terms(terms: &Terms) -> String {
    format!(
        "| {:.3} | {:.3} | {:.3} | {:.3} ",
        terms.log_likelihood,
        terms.bound,
        terms.kl.iter().sum::<f64>(),
        terms.best_log_likelihood,
    )
}
