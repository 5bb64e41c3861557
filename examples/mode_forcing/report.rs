//! What was measured, as rows, tables and JSON.

use std::fmt::Write;

use serde::Serialize;
use toy::{Counts, Mixture};

use crate::Done;
use crate::bound::Terms;

/// Where samples are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// The mixture itself.
    Data,
    /// A generator trained by IMLE, with pools of so many codes.
    Imle(usize),
    /// A diffusion model of so many steps.
    Diffusion(usize),
}

/// One model of one mixture.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The mixture's name.
    pub setting: &'static str,
    /// The model.
    pub model: Model,
    /// Where its samples lie.
    pub counts: Counts,
    /// The terms of its bound, for diffusion on the line.
    pub terms: Option<Terms>,
    /// Its samples, row by row.
    #[serde(skip)]
    pub samples: Vec<f32>,
}

impl Row {
    /// A row without terms.
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
    /// Where its samples lie.
    pub counts: Counts,
    /// The terms of its bound.
    pub terms: Terms,
    /// q(x_1 | x_0) and p(x_1 | x_0) on the grid, x_0 in the middle of the second mode.
    #[serde(skip)]
    pub first_step: [Vec<f64>; 2],
}

impl Weighted {
    /// The counts are of these samples.
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

/// Everything measured.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Numbers {
    /// One for each model of each mixture.
    pub rows: Vec<Row>,
    /// One for each mixture on the line and each weight.
    pub weighted: Vec<Weighted>,
}

impl Numbers {
    /// One more, in any order.
    pub fn add(&mut self, done: Done) {
        match done {
            Done::Row(row) => self.rows.push(row),
            Done::Weighted(weighted) => self.weighted.push(weighted),
        }
    }

    /// The mixtures in this order, and of each the models and weights in theirs.
    pub fn sort(&mut self, settings: &[&str]) {
        let place = |name: &str| settings.iter().position(|setting| *setting == name);
        self.rows.sort_by_key(|row| (place(row.setting), row.model));
        self.weighted.sort_by(|one, other| {
            let settings = place(one.setting).cmp(&place(other.setting));
            settings.then(one.weight.total_cmp(&other.weight))
        });
    }
}

/// The numbers as Markdown.
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
