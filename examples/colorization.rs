//! Colors each gray picture in eight plausible ways.
//!
//! `cargo run --release --example colorization -- --data photos/ --minutes 60`

use std::path::PathBuf;
use std::time::Duration;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::{Colorization, DataSource, Event, Model, Preset, RunConfig, Sheet, Trainer};
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
    #[arg(long, default_value = "runs/example-colorization")]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();

    // The preset sets the network, the schedule and the image size. Every field can be changed.
    let mut config = RunConfig::new(Colorization, Preset::Tiny);
    if let Some(folder) = args.data {
        config.data.source = DataSource::Folder(folder);
    }

    let device = Default::default();
    let mut trainer = Trainer::<Autodiff<Flex>>::create(config, &args.out, device)?;
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

    // A separate program would start here. It needs only the run's folder or a file of weights.
    let model = Model::<Flex>::load(&args.out, &device)?;
    let mut sheet = Sheet::new();
    for example in trainer.held_out().iter().take(6) {
        let gray = model
            .task()
            .picture_of_input(&example.conditioning)
            .to_rgb();
        let colored = model.sample(&gray, 8, 0)?;
        sheet.push([gray].into_iter().chain(colored).collect());
    }
    let picture = args.out.join("colorization.png");
    sheet.save(&picture)?;
    println!(
        "each row has a gray picture and eight colorings: {}",
        picture.display()
    );
    Ok(())
}
