//! Shows the progress of a command: bars on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use chimle_core::{Event, Observer};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::output;

/// The minimum time between two plain lines that only show progress.
const QUIET: Duration = Duration::from_secs(10);
/// The number of skipped files that are named one by one.
const NAMED: usize = 10;
/// The weight of the newest step in the loss that is shown.
const SMOOTHING: f32 = 0.1;

/// Shows a run of training.
pub struct Progress {
    shown: Shown,
    loss: Option<f32>,
    skipped: usize,
    steps: u64,
}

enum Shown {
    /// A bar for the steps, and one for the search while a search runs.
    Bars {
        all: MultiProgress,
        steps: ProgressBar,
        search: Option<ProgressBar>,
    },
    /// Lines on standard output: the time of the last line, and the time and step from which the rate is computed.
    Lines {
        last: Instant,
        since: (Instant, u64),
    },
}

impl Progress {
    /// Creates a display: bars if standard error is a terminal, else lines.
    pub fn new() -> Self {
        let shown = if std::io::stderr().is_terminal() {
            let all = MultiProgress::new();
            let steps = all.add(ProgressBar::new(0));
            steps.set_style(style(
                "train  {bar:30} {pos}/{len} steps, {per_sec}, loss {msg}, {eta} left",
            ));
            Shown::Bars {
                all,
                steps,
                search: None,
            }
        } else {
            Shown::Lines {
                last: Instant::now(),
                since: (Instant::now(), 0),
            }
        };
        Self {
            shown,
            loss: None,
            skipped: 0,
            steps: 0,
        }
    }

    /// Prints a line that stays.
    fn line(&mut self, line: &str) {
        match &mut self.shown {
            // `println` draws the bars again below it.
            Shown::Bars { all, .. } => drop(all.println(line)),
            Shown::Lines { last, .. } => {
                *last = Instant::now();
                // Training continues even if nobody reads the output.
                drop(output::say(line));
            }
        }
    }

    fn warn(&self, message: &str) {
        match &self.shown {
            Shown::Bars { all, .. } => all.suspend(|| output::complain("warning", message)),
            Shown::Lines { .. } => output::complain("warning", message),
        }
    }

    fn skip(&mut self, reason: &str) {
        self.skipped += 1;
        if self.skipped <= NAMED {
            self.warn(&format!("skipped: {reason}"));
        }
    }

    fn searching(&mut self, done: usize, total: usize) {
        if let Shown::Bars { all, search, .. } = &mut self.shown {
            let bar = search.get_or_insert_with(|| {
                let bar = all.insert(0, ProgressBar::new(total as u64));
                bar.set_style(style(
                    "search {bar:30} {pos}/{len} examples, {per_sec}, {eta} left",
                ));
                bar
            });
            bar.set_position(done as u64);
        }
    }

    fn searched(&mut self, chosen: &[f32], pool: &[f32], seconds: f64) {
        if let Shown::Bars { search, .. } = &mut self.shown
            && let Some(bar) = search.take()
        {
            bar.finish_and_clear();
        }
        if let (Shown::Lines { last, .. }, Some(chosen), Some(pool)) =
            (&self.shown, chosen.last(), pool.last())
            && last.elapsed() > QUIET
        {
            self.line(&format!("search: distance {chosen:.4} for the nearest candidates, {pool:.4} for all, {seconds:.1} s"));
        }
    }

    fn step(&mut self, step: u64, loss: f32) {
        let smooth = self
            .loss
            .map_or(loss, |before| before + SMOOTHING * (loss - before));
        self.loss = Some(smooth);
        match &mut self.shown {
            Shown::Bars { steps, .. } => {
                steps.set_message(format!("{smooth:.4}"));
                steps.set_position(step);
            }
            Shown::Lines { last, since } if last.elapsed() > QUIET => {
                let (begun, before) = std::mem::replace(since, (Instant::now(), step));
                let seconds =
                    begun.elapsed().as_secs_f64() / step.saturating_sub(before).max(1) as f64;
                let left = seconds * self.steps.saturating_sub(step) as f64;
                let left = indicatif::HumanDuration(Duration::from_secs_f64(left));
                let of = self.steps;
                self.line(&format!(
                    "step {step} of {of}: loss {smooth:.4}, {seconds:.2} s per step, {left} left"
                ));
            }
            Shown::Lines { .. } => {}
        }
    }
}

impl Observer for Progress {
    fn notice(&mut self, event: &Event) {
        match event {
            Event::Started {
                step,
                steps,
                examples,
                held_out,
                parameters,
                ..
            } => {
                self.steps = *steps;
                let from = if *step > 0 {
                    format!(", from step {step}")
                } else {
                    String::new()
                };
                self.line(&format!(
                    "{parameters} parameters, {examples} examples to train on, {held_out} held out, {steps} steps{from}"
                ));
                match &mut self.shown {
                    Shown::Bars { steps: bar, .. } => {
                        bar.set_length(*steps);
                        bar.set_position(*step);
                        bar.reset_eta();
                    }
                    Shown::Lines { since, .. } => *since = (Instant::now(), *step),
                }
            }
            Event::Skipped { reason, .. } => self.skip(reason),
            Event::Warning { message } => self.warn(message),
            Event::Searching { done, total } => self.searching(*done, *total),
            Event::Searched {
                chosen,
                pool,
                seconds,
                ..
            } => self.searched(chosen, pool, *seconds),
            Event::Step { step, loss, .. } => self.step(*step, *loss),
            Event::Validated {
                step,
                samples,
                best,
                mean,
                diversity,
                modes,
                ..
            } => {
                let modes = modes
                    .map(|modes| format!(", modes {modes:.2}"))
                    .unwrap_or_default();
                self.line(&format!(
                    "step {step}: best of {samples} {best:.4}, mean {mean:.4}, diversity {diversity:.4}{modes}"
                ));
            }
            Event::Saved { step, path } => {
                if let Shown::Lines { .. } = self.shown {
                    self.line(&format!("step {step}: saved {}", path.display()));
                }
            }
            Event::Finished { step, seconds } => {
                if self.skipped > NAMED {
                    self.warn(&format!(
                        "{} files were skipped in total; log.jsonl names them",
                        self.skipped
                    ));
                }
                if let Shown::Bars { steps, .. } = &self.shown {
                    steps.finish_and_clear();
                }
                self.line(&format!("trained to step {step} in {seconds:.1} s"));
            }
        }
    }
}

/// Shows how many of something are done.
pub struct Counter {
    bar: Option<ProgressBar>,
    what: &'static str,
    last: Instant,
}

impl Counter {
    /// Creates a counter. It shows a bar if standard error is a terminal.
    pub fn new(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            bar.set_style(style(&format!(
                "{{bar:30}} {{pos}}/{{len}} {what}, {{eta}} left"
            )));
            bar
        });
        Self {
            bar,
            what,
            last: Instant::now(),
        }
    }

    /// Creates a counter for the bytes of a file.
    pub fn of_bytes(what: &'static str) -> Self {
        let counter = Self::new(what);
        if let Some(bar) = &counter.bar {
            bar.set_style(style(&format!(
                "{{bar:30}} {{bytes}}/{{total_bytes}} of {what}, {{bytes_per_sec}}, {{eta}} left"
            )));
        }
        counter
    }

    /// Shows that `done` of `of` are done.
    pub fn at(&mut self, done: usize, of: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        } else if self.last.elapsed() > QUIET {
            self.last = Instant::now();
            // Standard output is only for the command's results.
            output::complain("progress", format_args!("{done} of {of} {}", self.what));
        }
    }

    /// Prints a warning above the bar.
    pub fn warn(&self, message: impl std::fmt::Display) {
        let warn = || output::complain("warning", &message);
        match &self.bar {
            Some(bar) => bar.suspend(warn),
            None => warn(),
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a template of this file")
}
