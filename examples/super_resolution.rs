//! Enlarges small pictures by a factor of 8, and shows the effect of each level's code.
//!
//! `cargo run --release --example super_resolution -- --data photos/ --minutes 60`

use std::path::PathBuf;
use std::time::Duration;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::{DataSource, Event, Preset, RunConfig, Sheet, SuperResolution, Trainer, Vary};
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// A folder of photographs. Without it, the model learns from procedural scenes
    #[arg(long)]
    data: Option<PathBuf>,
    /// Minutes to train
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// The folder to write
    #[arg(long, default_value = "runs/example-super-resolution")]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();

    // Three levels enlarge by 8. The paper's four levels enlarge by 16 (Preset::Small,
    // Preset::Paper).
    let mut config = RunConfig::new(SuperResolution, Preset::Tiny);
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

    // There is one row per level. The code of this level varies, and the codes of the other levels
    // are fixed.
    let model = trainer.model();
    let small = trainer.held_out()[0].conditioning[0].to_rgb();
    let mut sheet = Sheet::new();
    for level in 1..=model.config().levels() {
        let enlarged = model.vary(&small, 6, 0, Vary::Level(level))?;
        sheet.push([small.clone()].into_iter().chain(enlarged).collect());
    }
    let picture = args.out.join("super_resolution.png");
    sheet.save(&picture)?;
    println!(
        "enlargements of a small picture; each row varies the code of one level: {}",
        picture.display()
    );
    Ok(())
}
