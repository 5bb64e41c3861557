//! The report as text: aligned lines for a terminal, and Markdown.

use std::fmt::{self, Write};

use chimle_metrics::Better;

use super::report::{
    FaithfulnessAtSigma, Figure, NeighborhoodFigures, Report, SampleStatistics, SetMeasures,
    Similarity, Subject,
};

impl Report {
    /// Returns the report as a Markdown page. Every figure has its interval.
    pub fn to_markdown(&self) -> String {
        let mut page = format!("# Evaluation\n\n{}\n", self.summary());
        for table in self.tables() {
            page.push('\n');
            if let Some(title) = &table.title {
                let _ = write!(page, "{title}\n\n");
            }
            let _ = writeln!(page, "| {} |", table.head.join(" | "));
            let _ = writeln!(page, "|{}", "---|".repeat(table.head.len()));
            for row in &table.rows {
                let _ = writeln!(page, "| {} |", row.join(" | "));
            }
        }
        let _ = write!(
            page,
            "\nBrackets show 95% bootstrap intervals over images ({} resamples, seed {}). ↑: higher is \
             better. ↓: lower is better.\n",
            self.intervals.resamples, self.intervals.seed
        );
        for note in &self.notes {
            let _ = write!(page, "\n{note}\n");
        }
        if !self.skipped.is_empty() {
            page.push_str("\nSkipped:\n\n");
            for reason in &self.skipped {
                let _ = writeln!(page, "- {reason}");
            }
        }
        page
    }

    fn summary(&self) -> String {
        let skipped = match self.skipped.len() {
            0 => String::new(),
            count => format!(", {count} skipped"),
        };
        match &self.measured {
            Subject::Model {
                task,
                size: [height, width],
            } => format!(
                "{task} at {width}x{height} pixels: {} images, {} samples each{skipped}",
                self.images, self.samples
            ),
            Subject::Folders { real, fake } => format!(
                "{} compared with {}: {} images{skipped}",
                fake.display(),
                real.display(),
                self.images
            ),
        }
    }

    fn tables(&self) -> Vec<Table> {
        let similarity = self.similarity.as_ref();
        let mut tables: Vec<Table> = similarity
            .map(|similarity| self.similarity_table(similarity))
            .into_iter()
            .collect();
        let mut rows = Vec::new();
        if let Some(diversity) = &self.diversity {
            rows.push(row("diversity (distance between samples)", diversity, ""));
        }
        for at in &self.faithfulness_weighted_variance {
            rows.push(row(&variance_name(at), &at.figure, ""));
        }
        if let Some(modes) = &self.modes {
            let of = format!(
                "of {}; a perfect sampler would cover {:.2}",
                modes.of, modes.expected
            );
            rows.push(row("modes covered", &modes.covered, &of));
            let nearest = format!("of {}, at any distance", modes.of);
            rows.push(row("modes nearest to a sample", &modes.nearest, &nearest));
            let to_mode = "root mean square";
            rows.push(row(
                "distance to the nearest mode",
                &modes.distance,
                to_mode,
            ));
        }
        if !rows.is_empty() {
            tables.push(Table {
                title: None,
                head: ["measure", "value", ""].map(str::to_owned).to_vec(),
                rows,
            });
        }
        tables.extend(self.sets.as_ref().map(sets_table));
        tables
    }

    /// Returns every figure with its name, such as "PSNR (dB), best of 8".
    pub fn figures(&self) -> Vec<(String, Figure)> {
        let mut figures = Vec::new();
        for (name, spread) in self
            .similarity
            .iter()
            .flat_map(|similarity| self.statistics(similarity))
        {
            let best = format!("best of {}", self.samples);
            let several = [(best.as_str(), spread.best), ("mean", Some(spread.mean))];
            let kinds = several
                .into_iter()
                .filter_map(|(kind, figure)| Some((kind, figure?)));
            figures.extend(kinds.map(|(kind, figure)| (format!("{name}, {kind}"), figure)));
        }
        figures.extend(
            self.diversity
                .map(|figure| ("diversity".to_owned(), figure)),
        );
        for at in &self.faithfulness_weighted_variance {
            figures.push((variance_name(at), at.figure));
        }
        if let Some(modes) = &self.modes {
            let name = format!("modes covered of {}", modes.of);
            figures.push((name, modes.covered));
            figures.push((format!("modes nearest of {}", modes.of), modes.nearest));
            figures.push(("distance to the nearest mode".to_owned(), modes.distance));
        }
        if let Some(sets) = &self.sets {
            let (frechet, kernel) = set_names(sets);
            figures.push((frechet.to_owned(), sets.frechet_distance));
            figures.push((kernel.to_owned(), sets.kernel_distance));
            let found = sets.neighborhoods.iter().flat_map(neighborhoods);
            figures.extend(found.map(|(name, figure)| (name.to_owned(), figure)));
        }
        figures
    }

    fn statistics(&self, similarity: &Similarity) -> Vec<(String, SampleStatistics)> {
        let rows = [
            (self.distance.clone(), Some(similarity.distance)),
            ("PSNR (dB)".to_owned(), Some(similarity.psnr)),
            ("SSIM".to_owned(), similarity.ssim),
            ("MS-SSIM".to_owned(), similarity.ms_ssim),
            ("consistency (PSNR, dB)".to_owned(), similarity.consistency),
        ];
        let rows = rows.into_iter();
        rows.filter_map(|(name, spread)| Some((name, spread?)))
            .collect()
    }

    fn similarity_table(&self, similarity: &Similarity) -> Table {
        let several = similarity.distance.best.is_some();
        let best = format!("best of {}", self.samples);
        let head = if several {
            vec!["", &best, "mean", "deviation", "baseline"]
        } else {
            vec!["", "mean", "images"]
        };
        let cells = |(name, spread): (String, SampleStatistics)| {
            let named = format!("{name} {}", arrow(spread.mean.better));
            let cell = |figure: Option<Figure>| figure.map(|f| value(&f)).unwrap_or_default();
            if several {
                let cells = [spread.best, Some(spread.mean), spread.deviation];
                let mut row = vec![named];
                row.extend(cells.map(cell));
                row.push(cell(spread.baseline));
                row
            } else {
                vec![named, value(&spread.mean), spread.mean.images.to_string()]
            }
        };
        Table {
            title: None,
            head: head.into_iter().map(str::to_owned).collect(),
            rows: self.statistics(similarity).into_iter().map(cells).collect(),
        }
    }
}

fn variance_name(at: &FaithfulnessAtSigma) -> String {
    format!("faithfulness-weighted variance, sigma {}", at.sigma)
}

fn neighborhoods(found: &NeighborhoodFigures) -> [(&'static str, Figure); 4] {
    [
        ("precision", found.precision),
        ("recall", found.recall),
        ("density", found.density),
        ("coverage", found.coverage),
    ]
}

fn set_names(sets: &SetMeasures) -> (&'static str, &'static str) {
    if sets.is_inception {
        ("FID", "KID")
    } else {
        ("Frechet distance", "kernel distance")
    }
}

fn sets_table(sets: &SetMeasures) -> Table {
    let (frechet, kernel) = set_names(sets);
    let subsets = sets.subsets.map_or_else(String::new, |subsets| {
        format!("mean over {} subsets of {}", subsets.count, subsets.size)
    });
    let mut rows = vec![
        row(frechet, &sets.frechet_distance, ""),
        row(kernel, &sets.kernel_distance, &subsets),
    ];
    if let Some(found) = &sets.neighborhoods {
        let k = format!("{} neighbors", found.neighbors);
        rows.extend(neighborhoods(found).map(|(name, figure)| row(name, &figure, &k)));
    }
    Table {
        title: Some(format!(
            "Sets: {} generated and {} true images, compared by {} features of {}. Compare these values \
             only with values of the same extractor.",
            sets.generated_images, sets.real_images, sets.dimension, sets.extractor
        )),
        head: ["measure", "value", ""].map(str::to_owned).to_vec(),
        rows,
    }
}

struct Table {
    title: Option<String>,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn row(name: &str, figure: &Figure, remark: &str) -> Vec<String> {
    vec![
        format!("{name} {}", arrow(figure.better)),
        value(figure),
        remark.to_owned(),
    ]
}

fn arrow(better: Option<Better>) -> &'static str {
    match better {
        Some(Better::Higher) => "↑",
        Some(Better::Lower) => "↓",
        None => "",
    }
}

fn value(figure: &Figure) -> String {
    let [low, high] = figure.interval.map(format_figure);
    format!("{} [{low}, {high}]", format_figure(figure.value))
}

/// Formats a value as reports do: with four decimals, or with four significant digits if it is smaller than
/// 0.001.
pub fn format_figure(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.3e}");
    }
    format!("{value:.4}")
}

impl fmt::Display for Report {
    /// Writes the tables of [`to_markdown`](Report::to_markdown) with aligned columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.summary())?;
        for table in self.tables() {
            write!(f, "\n\n")?;
            if let Some(title) = &table.title {
                writeln!(f, "{title}")?;
            }
            let lines: Vec<&Vec<String>> = [&table.head].into_iter().chain(&table.rows).collect();
            let width = |column: usize| {
                let cells = lines.iter().map(|line| line[column].chars().count());
                cells.max().unwrap_or(0)
            };
            for (k, line) in lines.iter().enumerate() {
                let cells = line.iter().enumerate();
                let aligned: Vec<String> = cells
                    .map(|(column, cell)| format!("{cell:<0$}", width(column)))
                    .collect();
                let end = if k + 1 < lines.len() { "\n" } else { "" };
                write!(f, "{}{end}", aligned.join("  ").trim_end())?;
            }
        }
        for note in &self.notes {
            write!(f, "\n\n{note}")?;
        }
        Ok(())
    }
}
