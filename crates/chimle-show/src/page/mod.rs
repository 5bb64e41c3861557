//! One HTML file for browsing the results of a run.
//!
//! A [`Page`] shows the conditioning and the samples of each [`Input`]. One large image changes in place to the
//! sample under the pointer, which makes differences easy to see. The truth is hidden until the reader asks for
//! it. Favorites can be marked, are stored by the browser, and can be saved as PNG. The file is self-contained and
//! opens without a server or a network. Images are decoded when they come into view.

mod comparison;
mod fill;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use serde::Serialize;

use crate::escape::{json_in_script, markup};
use crate::{Error, Plot, error};
pub use comparison::{Compared, Comparison, Table};
use fill::fill;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = concat!(include_str!("page.css"), include_str!("large.css"));
const SCRIPT: &str = concat!(
    include_str!("store.js"),
    include_str!("input.js"),
    include_str!("large.js"),
    include_str!("page.js"),
);

/// The width and height of a curve in CSS pixels, on a wide screen and on a phone.
const CURVE_SIZES: [(&str, (u32, u32)); 2] = [("wide", (960, 400)), ("narrow", (340, 300))];

/// The results of a run, as one HTML file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The heading, which is also the prefix of the names of saved images.
    pub title: String,
    /// The settings of the run as names and values, in the order shown.
    pub settings: Vec<(String, String)>,
    /// The held-out inputs, in the order shown.
    pub inputs: Vec<Input>,
    /// Plots, drawn over the width of the page. Their own width and height are ignored.
    pub curves: Vec<Plot>,
    /// The measures, in the order shown.
    pub measures: Vec<Measure>,
}

/// An input and a model's samples for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The name of the input.
    pub name: String,
    /// The conditioning image that the model was given, of any size. It is shown at the size of the samples.
    pub conditioning: RgbImage,
    /// The true images. There are several if several are equally plausible, and none if the truth is not known.
    pub truths: Vec<RgbImage>,
    /// The samples.
    pub samples: Vec<RgbImage>,
}

/// A row of the table of measures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Measure {
    /// The name of the measure.
    pub name: String,
    /// The value, formatted for the reader.
    pub value: String,
    /// The interval of the value, for example `0.109 to 0.125`. May be empty.
    pub interval: String,
}

impl Measure {
    /// Creates a row from these three texts.
    pub fn new(
        name: impl Into<String>,
        value: impl Into<String>,
        interval: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            interval: interval.into(),
        }
    }
}

/// The data of an input that the script reads before it decodes the images.
#[derive(Serialize)]
struct Outline<'a> {
    name: &'a str,
    samples: usize,
    truths: usize,
    width: u32,
    height: u32,
}

/// The images of an input, as data URIs.
#[derive(Serialize)]
struct Images {
    conditioning: String,
    samples: Vec<String>,
    truths: Vec<String>,
}

impl Page {
    /// Returns the page as HTML.
    ///
    /// # Errors
    ///
    /// [`Error::NoPixels`] if an image is empty. The error names the input.
    pub fn html(&self) -> Result<String, Error> {
        let mut fingerprint = DefaultHasher::new();
        self.title.hash(&mut fingerprint);
        let mut images = String::new();
        for (index, input) in self.inputs.iter().enumerate() {
            let json = json(&input.images()?)?;
            json.hash(&mut fingerprint);
            images.push_str(&format!(
                "<script type=\"application/json\" id=\"images-{index}\">{json}</script>\n"
            ));
        }
        let outlines: Vec<_> = self.inputs.iter().map(Input::outline).collect();
        Ok(fill(
            PAGE,
            &[
                ("title", &markup(&self.title)),
                ("style", STYLE),
                ("run", &format!("{:016x}", fingerprint.finish())),
                ("summary", &markup(&self.summary())),
                ("navigation", &self.navigation()),
                ("curves", &self.curves_section()),
                ("measures", &self.measures_section()),
                ("settings", &self.settings_section()),
                ("outlines", &json(&outlines)?),
                ("images", &images),
                ("script", SCRIPT),
            ],
        ))
    }

    /// Writes the page to `path`.
    ///
    /// # Errors
    ///
    /// The errors of [`Page::html`], and [`Error::Write`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        error::write(path.as_ref(), self.html()?.as_bytes())
    }

    /// Returns a text with the number of inputs and the number of samples of each.
    fn summary(&self) -> String {
        let counts = || self.inputs.iter().map(|input| input.samples.len());
        let inputs = counted(self.inputs.len(), "input");
        match (counts().min(), counts().max()) {
            (Some(fewest), Some(most)) if fewest == most && self.inputs.len() == 1 => {
                format!("{inputs}, {}", counted(most, "sample"))
            }
            (Some(fewest), Some(most)) if fewest == most => {
                format!("{inputs}, {} of each", counted(most, "sample"))
            }
            (Some(fewest), Some(most)) => {
                format!("{inputs}, {fewest} to {} of each", counted(most, "sample"))
            }
            _ => inputs,
        }
    }

    /// Returns links to the parts of the page, if there are several.
    fn navigation(&self) -> String {
        let links: Vec<_> = [
            ("inputs", "Samples", !self.inputs.is_empty()),
            ("curves", "Curves", !self.curves.is_empty()),
            ("measures", "Measures", !self.measures.is_empty()),
            ("settings", "Settings", !self.settings.is_empty()),
        ]
        .into_iter()
        .filter(|(_, _, present)| *present)
        .map(|(id, name, _)| format!("<a href=\"#{id}\">{name}</a>\n"))
        .collect();
        if links.len() < 2 {
            return String::new();
        }
        let links = links.concat();
        format!("<nav aria-label=\"Parts of this page\">\n{links}</nav>\n")
    }

    fn curves_section(&self) -> String {
        let figures: String = self
            .curves
            .iter()
            .map(|curve| {
                let drawn = CURVE_SIZES.map(|(class, (width, height))| {
                    let curve = Plot {
                        width,
                        height,
                        ..curve.clone()
                    };
                    format!("<div class=\"{class}\">{}</div>\n", curve.svg())
                });
                format!("<figure>\n{}</figure>\n", drawn.concat())
            })
            .collect();
        section("curves", "Curves", &figures)
    }

    fn measures_section(&self) -> String {
        let intervals = self
            .measures
            .iter()
            .any(|measure| !measure.interval.is_empty());
        let cell = |text: &str| format!("<td>{}</td>", markup(text));
        let rows: String = self
            .measures
            .iter()
            .map(|measure| {
                let interval = if intervals {
                    cell(&measure.interval)
                } else {
                    String::new()
                };
                let (name, value) = (markup(&measure.name), cell(&measure.value));
                format!("<tr><th scope=\"row\">{name}</th>{value}{interval}</tr>\n")
            })
            .collect();
        if rows.is_empty() {
            return rows;
        }
        let interval = if intervals {
            "<th scope=\"col\">Interval</th>"
        } else {
            ""
        };
        section(
            "measures",
            "Measures",
            &format!(
                "<table>\n<thead><tr><th scope=\"col\">Measure</th><th scope=\"col\">Value</th>{interval}</tr></thead>\n\
                 <tbody>\n{rows}</tbody>\n</table>\n"
            ),
        )
    }

    fn settings_section(&self) -> String {
        let rows: String = self
            .settings
            .iter()
            .map(|(name, value)| {
                format!(
                    "<div><dt>{}</dt><dd>{}</dd></div>\n",
                    markup(name),
                    markup(value)
                )
            })
            .collect();
        if rows.is_empty() {
            return rows;
        }
        section("settings", "Settings", &format!("<dl>\n{rows}</dl>\n"))
    }
}

impl Input {
    fn outline(&self) -> Outline<'_> {
        let shown = self
            .samples
            .first()
            .or(self.truths.first())
            .unwrap_or(&self.conditioning);
        Outline {
            name: &self.name,
            samples: self.samples.len(),
            truths: self.truths.len(),
            width: shown.width(),
            height: shown.height(),
        }
    }

    fn images(&self) -> Result<Images, Error> {
        let uris = |kind: &str, images: &[RgbImage]| {
            (1..)
                .zip(images)
                .map(|(number, image)| {
                    data_uri(image, &format!("{kind} {number} of {}", self.name))
                })
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Images {
            conditioning: data_uri(
                &self.conditioning,
                &format!("the conditioning of {}", self.name),
            )?,
            samples: uris("sample", &self.samples)?,
            truths: uris("truth", &self.truths)?,
        })
    }
}

fn data_uri(image: &RgbImage, what: &str) -> Result<String, Error> {
    let bytes = crate::png_bytes(image, what)?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    let json = serde_json::to_string(value).map_err(|error| Error::encode("JSON")(&error))?;
    Ok(json_in_script(json))
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Returns a section of the page. It is empty if there is no content.
fn section(id: &str, heading: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!(
        "<section class=\"part\" id=\"{id}\" aria-labelledby=\"{id}-heading\">\n\
         <h2 id=\"{id}-heading\">{heading}</h2>\n{content}</section>\n"
    )
}
