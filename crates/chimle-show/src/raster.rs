//! Rendering of SVG with a font that is part of the binary, so that the image is the same on every
//! machine.

use std::sync::{Arc, OnceLock};

use image::RgbImage;
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

use crate::Error;

/// The approximate width of a character relative to the font size. Text is laid out before its font
/// is known.
pub(crate) const CHARACTER_WIDTH: f64 = 0.56;

/// Renders `svg` on white, with `scale` pixels per unit.
pub(crate) fn render(svg: &str, scale: f32) -> Result<RgbImage, Error> {
    let options = Options {
        fontdb: fonts(),
        ..Options::default()
    };
    let refused = Error::encode("a picture of the SVG");
    let tree = Tree::from_str(svg, &options).map_err(|error| refused(&error))?;
    let width = (tree.size().width() * scale).round() as u32;
    let height = (tree.size().height() * scale).round() as u32;
    let mut pixels = Pixmap::new(width, height)
        .ok_or_else(|| refused(&format!("it would have {width}x{height} pixels")))?;
    pixels.fill(Color::WHITE);
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixels.as_mut(),
    );
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let start = 4 * (y as usize * width as usize + x as usize);
        let rgba = &pixels.data()[start..start + 4];
        image::Rgb([rgba[0], rgba[1], rgba[2]])
    }))
}

/// Returns a font database with only DejaVu Sans Condensed, which stands for every family.
fn fonts() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    FONTS
        .get_or_init(|| {
            let mut fonts = Database::new();
            fonts.load_font_data(dejavu::sans_condensed::regular().to_vec());
            let family = fonts
                .faces()
                .next()
                .and_then(|face| face.families.first())
                .map(|(name, _)| name.clone());
            if let Some(family) = family {
                fonts.set_sans_serif_family(family);
            }
            Arc::new(fonts)
        })
        .clone()
}
