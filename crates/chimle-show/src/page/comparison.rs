//! One HTML file that compares methods: tables, plots, and each method's samples for the same inputs.
//!
//! A [`Comparison`] has no script, so the whole page can be read, searched and printed. The samples
//! of a method for an input are drawn as one strip.

use std::path::Path;

use image::{Rgb, RgbImage, imageops};

use super::{CURVE_SIZES, STYLE, data_uri, fill::fill, section};
use crate::escape::markup;
use crate::{Error, Plot, error};

const PAGE: &str = include_str!("comparison.html");
const OWN_STYLE: &str = include_str!("comparison.css");

/// The space between the images of a strip, in pixels.
const GAP: u32 = 2;

/// A comparison of methods, as one HTML file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// The heading.
    pub title: String,
    /// Paragraphs below the heading.
    pub summary: Vec<String>,
    /// Tables, in the order shown.
    pub tables: Vec<Table>,
    /// Plots, drawn over the width of the page. Their own width and height are ignored.
    pub curves: Vec<Plot>,
    /// Inputs with the samples of each method.
    pub inputs: Vec<Compared>,
    /// Remarks, which are shown last.
    pub notes: Vec<String>,
}

/// A table. The first cell of a row is its heading. A line break in a cell is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// The heading.
    pub title: String,
    /// The headings of the columns.
    pub head: Vec<String>,
    /// The rows, each with one cell per column.
    pub rows: Vec<Vec<String>>,
}

/// An input, and the samples of each method for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The name of the input.
    pub name: String,
    /// The conditioning image that the methods were given, of any size.
    pub conditioning: RgbImage,
    /// The true image.
    pub truth: RgbImage,
    /// The name of each method with its samples, all of the same size.
    pub rows: Vec<(String, Vec<RgbImage>)>,
}

impl Comparison {
    /// Returns the page as HTML.
    ///
    /// # Errors
    ///
    /// [`Error::NoPixels`] if an image is empty. The error names the input.
    pub fn html(&self) -> Result<String, Error> {
        let paragraphs = |texts: &[String]| -> String {
            let texts = texts.iter();
            texts
                .map(|text| format!("<p>{}</p>\n", markup(text)))
                .collect()
        };
        let tables: String = self.tables.iter().map(Table::html).collect();
        let curves: String = self.curves.iter().map(curve).collect();
        let inputs = self.inputs.iter().map(Compared::html);
        let inputs = inputs.collect::<Result<String, Error>>()?;
        let style = format!("{STYLE}{OWN_STYLE}");
        Ok(fill(
            PAGE,
            &[
                ("title", &markup(&self.title)),
                ("style", &style),
                ("summary", &paragraphs(&self.summary)),
                ("tables", &section("measures", "Measures", &tables)),
                (
                    "inputs",
                    &section("inputs", "Samples for the same inputs", &inputs),
                ),
                ("curves", &section("curves", "Quality over time", &curves)),
                (
                    "notes",
                    &section("notes", "Notes", &paragraphs(&self.notes)),
                ),
            ],
        ))
    }

    /// Writes the page to `path`.
    ///
    /// # Errors
    ///
    /// The errors of [`Comparison::html`], and [`Error::Write`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        error::write(path.as_ref(), self.html()?.as_bytes())
    }
}

impl Table {
    fn html(&self) -> String {
        let broken = |text: &str| markup(text).replace('\n', "<br>");
        let head: String = self
            .head
            .iter()
            .map(|text| format!("<th scope=\"col\">{}</th>", broken(text)))
            .collect();
        let row = |cells: &Vec<String>| {
            let cells = cells.iter().enumerate().map(|(k, text)| match k {
                0 => format!("<th scope=\"row\">{}</th>", broken(text)),
                _ => format!("<td>{}</td>", broken(text)),
            });
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        let rows: String = self.rows.iter().map(row).collect();
        let title = markup(&self.title);
        format!(
            "<div class=\"wide-table\"><table>\n<caption>{title}</caption>\n<thead><tr>{head}</tr></thead>\n\
             <tbody>\n{rows}</tbody>\n</table></div>\n"
        )
    }
}

impl Compared {
    fn html(&self) -> Result<String, Error> {
        let name = markup(&self.name);
        let mut html = format!("<section class=\"compared\">\n<h3>{name}</h3>\n");
        let (width, height) = self.truth.dimensions();
        let enlarged = imageops::resize(
            &self.conditioning,
            width,
            height,
            imageops::FilterType::Nearest,
        );
        let own = (
            "input, truth".to_owned(),
            vec![enlarged, self.truth.clone()],
        );
        for (method, pictures) in [&own].into_iter().chain(&self.rows) {
            let strip = strip(pictures);
            let what = format!("what {method} made of {}", self.name);
            let uri = data_uri(&strip, &what)?;
            let (w, h) = strip.dimensions();
            let (method, what) = (markup(method), markup(&what));
            html += &format!(
                "<div class=\"row\"><span>{method}</span><img width=\"{w}\" height=\"{h}\" alt=\"{what}\" src=\"{uri}\"></div>\n"
            );
        }
        Ok(html + "</section>\n")
    }
}

/// Draws images side by side. Images that differ in size from the first are resized without
/// smoothing.
fn strip(pictures: &[RgbImage]) -> RgbImage {
    let Some(first) = pictures.first() else {
        return RgbImage::new(0, 0);
    };
    let (width, height) = first.dimensions();
    let count = pictures.len() as u32;
    let mut strip = RgbImage::from_pixel(count * (width + GAP) - GAP, height, Rgb([255; 3]));
    for (k, picture) in pictures.iter().enumerate() {
        let fitted = imageops::resize(picture, width, height, imageops::FilterType::Nearest);
        imageops::replace(&mut strip, &fitted, (k as u32 * (width + GAP)).into(), 0);
    }
    strip
}

fn curve(curve: &Plot) -> String {
    let drawn = CURVE_SIZES.map(|(class, (width, height))| {
        let curve = Plot {
            width,
            height,
            ..curve.clone()
        };
        format!("<div class=\"{class}\">{}</div>\n", curve.svg())
    });
    format!("<figure>\n{}</figure>\n", drawn.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison() -> Comparison {
        let picture = |value| RgbImage::from_pixel(4, 4, Rgb([value; 3]));
        Comparison {
            title: "A & B".into(),
            summary: vec!["Both were <fast>.".into()],
            tables: vec![Table {
                title: "8 samples".into(),
                head: vec!["method".into(), "LPIPS".into()],
                rows: vec![vec!["A".into(), "0.1\nseeds 0.1 to 0.2".into()]],
            }],
            inputs: vec![Compared {
                name: "forest/1".into(),
                conditioning: RgbImage::from_pixel(2, 2, Rgb([9; 3])),
                truth: picture(7),
                rows: vec![("A".into(), vec![picture(1), picture(2)])],
            }],
            ..Comparison::default()
        }
    }

    #[test]
    fn a_page_shows_tables_and_strips_and_nothing_opens_markup() {
        let html = comparison().html().unwrap();
        for part in [
            "<h1>A &amp; B</h1>",
            "Both were &lt;fast&gt;.",
            "<td>0.1<br>seeds 0.1 to 0.2</td>",
            "<h3>forest/1</h3>",
            "alt=\"what A made of forest/1\"",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert_eq!(html.matches("data:image/png;base64,").count(), 2);
        assert!(!html.contains("{{"));
    }

    #[test]
    fn a_strip_holds_all_pictures_at_the_size_of_the_first() {
        let small = RgbImage::from_pixel(1, 1, Rgb([50; 3]));
        let strip = strip(&[RgbImage::new(3, 2), small]);
        assert_eq!(strip.dimensions(), (3 + 2 + 3, 2));
        assert_eq!(strip.get_pixel(7, 1), &Rgb([50; 3]));
    }

    #[test]
    fn a_method_without_pictures_is_named() {
        let mut comparison = comparison();
        comparison.inputs[0].rows[0].1.clear();
        let error = comparison.html().unwrap_err().to_string();
        assert!(error.contains("what A made of forest/1"), "{error}");
    }
}
