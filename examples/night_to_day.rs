//! Generates day pictures of a scene from a night picture. Any task that is given by pairs of images works in the
//! same way.
//!
//! `cargo run --release --example night_to_day -- --data pairs/ --minutes 60`

use std::path::PathBuf;
use std::time::Duration;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::{DataSource, Event, NightToDay, Preset, RunConfig, Sheet, Trainer, Vary};
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// A folder with subfolders `night` and `day` whose files have the same names. Without it, the model
    /// learns from procedural scenes
    #[arg(long)]
    data: Option<PathBuf>,
    /// Minutes to train
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// The folder to write
    #[arg(long, default_value = "runs/example-night-to-day")]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut config = RunConfig::new(NightToDay, Preset::Tiny);
    if let Some(folder) = args.data {
        config.data.source = DataSource::Folder(folder);
    }

    let mut trainer = Trainer::<Autodiff<Flex>>::create(config, &args.out, Default::default())?;
    trainer.run_for(
        Duration::from_secs_f64(60.0 * args.minutes),
        &mut |event: &Event| {
            if let Event::Validated {
                step,
                best,
                diversity,
                ..
            } = event
            {
                println!("step {step}: best of 4 samples {best:.4}, diversity {diversity:.4}");
            }
        },
    )?;

    // One row varies the global part of the codes, and the next row the local part.
    let model = trainer.model();
    let mut sheet = Sheet::new();
    for example in trainer.held_out().iter().take(3) {
        let night = model
            .task()
            .picture_of_input(&example.conditioning)
            .to_rgb();
        for vary in [Vary::Global, Vary::Local] {
            let days = model.vary(&night, 6, 0, vary)?;
            sheet.push(
                [night.clone()]
                    .into_iter()
                    .chain(days)
                    .chain([example.truth().to_rgb()])
                    .collect(),
            );
        }
    }
    let picture = args.out.join("night_to_day.png");
    sheet.save(&picture)?;
    println!(
        "each row has a night, six days and the true day, and rows vary global and local codes in turn: {}",
        picture.display()
    );
    Ok(())
}
