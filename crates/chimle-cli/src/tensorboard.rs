//! The scalars of a run as TensorBoard event files.

use std::path::Path;

use chimle_core::{Event, Observer};
use chimle_show::TensorBoard;

use crate::error::Failure;

/// Passes events on, and writes their numbers to an event file.
pub struct Recorder<'a> {
    file: Option<TensorBoard>,
    error: Option<chimle_show::Error>,
    next: &'a mut dyn Observer,
}

impl<'a> Recorder<'a> {
    /// Starts to record a run that is at `step`. Without a folder, events are only passed on.
    pub fn new(
        folder: Option<&Path>,
        step: u64,
        next: &'a mut dyn Observer,
    ) -> Result<Self, Failure> {
        let file = folder
            .map(|folder| TensorBoard::create(folder, step))
            .transpose()?;
        Ok(Self {
            file,
            error: None,
            next,
        })
    }

    /// Returns the first error of writing. The run itself goes on without the file.
    pub fn finish(self) -> Option<chimle_show::Error> {
        self.error
    }

    fn write(&mut self, step: u64, scalars: &[(String, f64)]) {
        let scalars: Vec<(&str, f64)> = scalars.iter().map(|(tag, v)| (tag.as_str(), *v)).collect();
        let Some(file) = &mut self.file else {
            return;
        };
        if let Err(error) = file.write(step, &scalars) {
            self.error.get_or_insert(error);
            self.file = None;
        }
    }
}

impl Observer for Recorder<'_> {
    fn notice(&mut self, event: &Event) {
        if let Some((step, scalars)) = scalars(event) {
            self.write(step, &scalars);
        }
        self.next.notice(event);
    }
}

/// Returns the numbers of an event with their names, and its step.
fn scalars(event: &Event) -> Option<(u64, Vec<(String, f64)>)> {
    let named = |name: &str, value: f64| (name.to_owned(), value);
    let by_level = |name: &str, values: &[f32]| -> Vec<(String, f64)> {
        let values = values.iter().enumerate();
        values
            .map(|(k, &value)| (format!("{name}/level {}", k + 1), f64::from(value)))
            .collect()
    };
    match event {
        Event::Step {
            step,
            loss,
            levels,
            learning_rate,
            seconds,
        } => {
            let mut scalars = vec![
                named("loss", f64::from(*loss)),
                named("learning rate", *learning_rate),
                named("seconds/step", *seconds),
            ];
            scalars.extend(by_level("loss", levels));
            Some((*step, scalars))
        }
        Event::Searched {
            step,
            chosen,
            pool,
            seconds,
            ..
        } => {
            let mut scalars = vec![named("seconds/search", *seconds)];
            scalars.extend(by_level("search/chosen", chosen));
            scalars.extend(by_level("search/pool", pool));
            Some((*step, scalars))
        }
        Event::Validated {
            step,
            best,
            mean,
            diversity,
            modes,
            sets,
            ..
        } => {
            let mut scalars = vec![
                named("validation/best", *best),
                named("validation/mean", *mean),
                named("validation/diversity", *diversity),
            ];
            scalars.extend(modes.map(|modes| named("validation/modes", modes)));
            if let Some(sets) = sets {
                scalars.push(named("validation/frechet", sets.frechet));
                scalars.push(named("validation/kernel", sets.kernel));
                scalars.push(named("validation/precision", sets.precision));
                scalars.push(named("validation/recall", sets.recall));
            }
            Some((*step, scalars))
        }
        _ => None,
    }
}
