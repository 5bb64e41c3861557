//! Restores pictures from JPEG files of quality 1.
//!
//! `cargo run --release --example decompression -- --data photos/ --minutes 60`

use std::path::PathBuf;
use std::time::Duration;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::data::{ChromaSubsampling, jpeg};
use chimle_core::{DataSource, Decompression, Event, Preset, RunConfig, Sheet, Trainer};
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
    #[arg(long, default_value = "runs/example-decompression")]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut config = RunConfig::new(Decompression, Preset::Tiny);
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

    // The model's input is an ordinary image. Here it was made from an image whose original is
    // known.
    let model = trainer.model();
    let mut sheet = Sheet::new();
    for example in trainer.held_out().iter().take(6) {
        let truth = example.truth().to_rgb();
        let compressed = jpeg(&truth, 1, ChromaSubsampling::Half)?;
        let restored = model.sample(&compressed, 6, 0)?;
        sheet.push(
            [compressed]
                .into_iter()
                .chain(restored)
                .chain([truth])
                .collect(),
        );
    }
    let picture = args.out.join("decompression.png");
    sheet.save(&picture)?;
    println!(
        "each row has a JPEG, six restorations and the original: {}",
        picture.display()
    );
    Ok(())
}
