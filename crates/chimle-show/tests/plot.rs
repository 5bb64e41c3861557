//! Tests of plots as SVG and as PNG.

mod scenes;

use chimle_show::{Error, Plot, Scale, Series};
use roxmltree::Document;

/// Returns the data of every path of a class.
fn paths(svg: &str, class: &str) -> Vec<String> {
    let document = Document::parse(svg).expect("XML");
    document
        .descendants()
        .filter(|node| {
            node.attribute("class")
                .is_some_and(|classes| classes.split(' ').any(|one| one == class))
        })
        .filter_map(|node| node.attribute("d").map(str::to_owned))
        .collect()
}

fn texts(svg: &str) -> Vec<String> {
    Document::parse(svg)
        .expect("XML")
        .descendants()
        .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")))
        .filter_map(|node| node.text().map(str::to_owned))
        .collect()
}

fn plot_of(points: Vec<(f64, f64)>, y_scale: Scale) -> Plot {
    Plot {
        y_scale,
        series: vec![Series::new("one", points)],
        ..Plot::default()
    }
}

#[test]
fn any_points_make_well_formed_svg_and_a_picture() {
    let nan = f64::NAN;
    let cases = [
        vec![],
        vec![(1.0, 2.0)],
        vec![(0.0, 3.0), (1.0, 3.0), (2.0, 3.0)],
        vec![(0.0, nan), (1.0, nan)],
        vec![(0.0, 1.0), (1.0, nan), (2.0, 3.0)],
        vec![(0.0, f64::MAX), (1.0, f64::MIN), (f64::INFINITY, 0.0)],
        vec![(0.0, 1e-300), (1.0, 1e300)],
        vec![(0.0, -1.0), (1.0, 0.0)],
    ];
    for points in cases {
        for scale in [Scale::Linear, Scale::Log] {
            let plot = plot_of(points.clone(), scale);
            let svg = plot.svg();
            Document::parse(&svg).expect("XML");
            assert!(
                !svg.contains("NaN") && !svg.contains("inf"),
                "{points:?}: {svg}"
            );
            let image = plot.image(1.0).expect("a picture");
            assert_eq!(image.dimensions(), (720, 400));
        }
    }
}

#[test]
fn without_anything_to_draw_it_says_so() {
    assert!(texts(&Plot::default().svg()).contains(&"no data".to_owned()));
    let below_zero = plot_of(vec![(0.0, -1.0)], Scale::Log);
    assert!(texts(&below_zero.svg()).contains(&"no data".to_owned()));
    assert!(!texts(&scenes::loss().svg()).contains(&"no data".to_owned()));
}

#[test]
fn a_value_that_is_not_a_number_parts_the_line() {
    let points = vec![
        (0.0, 1.0),
        (1.0, 2.0),
        (2.0, f64::NAN),
        (3.0, 2.0),
        (4.0, 1.0),
    ];
    let line = &paths(&plot_of(points, Scale::Linear).svg(), "series")[0];
    assert_eq!(
        (line.matches('M').count(), line.matches('L').count()),
        (2, 2)
    );
}

#[test]
fn text_is_escaped() {
    let plot = Plot {
        title: "a < b & \"c\"".into(),
        x_label: "</svg>".into(),
        series: vec![Series::new("<i>", []), Series::new("&amp;", [])],
        ..Plot::default()
    };
    let texts = texts(&plot.svg());
    for text in ["a < b & \"c\"", "</svg>", "<i>", "&amp;"] {
        assert!(texts.contains(&text.to_owned()), "{text} in {texts:?}");
    }
}

#[test]
fn a_million_points_make_a_small_file() {
    let points = (0..1_000_000).map(|k| (f64::from(k), f64::from(k % 1000)));
    let plot = plot_of(points.collect(), Scale::Linear);
    assert!(plot.svg().len() < 60_000, "{}", plot.svg().len());
}

#[test]
fn smoothing_keeps_a_constant_and_leaves_gaps() {
    let constant = Series::smoothed("c", (0..50).map(|x| (f64::from(x), 3.0)), 10.0);
    assert!(constant.points.iter().all(|(_, y)| (y - 3.0).abs() < 1e-12));
    let gap = Series::smoothed("g", [(0.0, 1.0), (1.0, f64::NAN), (2.0, 1.0)], 10.0);
    assert!(gap.points[1].1.is_nan());
    assert!((gap.points[2].1 - 1.0).abs() < 1e-12);
    let step = Series::smoothed(
        "s",
        (0..100).map(|x| (f64::from(x), f64::from(u8::from(x >= 50)))),
        10.0,
    );
    assert!((step.points[59].1 - (1.0 - (-1.0f64).exp())).abs() < 0.01);
}

#[test]
fn growing_lines_keep_the_axes_of_the_whole() {
    let whole = scenes::loss();
    let (start, end) = (whole.until(100.0), whole.until(800.0));
    assert!(start.series[0].points.len() == 100 && end.series[0].points.len() == 800);
    let ticks = |plot: &Plot| paths(&plot.svg(), "axis");
    assert_eq!(ticks(&start), ticks(&whole));
    assert_eq!(paths(&end.svg(), "series"), paths(&whole.svg(), "series"));
    assert_eq!(
        start.image(1.0).expect("a picture").dimensions(),
        end.image(1.0).expect("a picture").dimensions()
    );
}

#[test]
fn a_png_is_on_white_with_the_line_in_its_color() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("loss.PNG");
    scenes::loss().save(&path).expect("a file");
    let image = image::open(&path).expect("a PNG").to_rgb8();
    assert_eq!(image.dimensions(), (1440, 800));
    assert_eq!(image.get_pixel(0, 0).0, [255; 3]);
    assert!(image.pixels().any(|pixel| pixel.0 == [0, 0x72, 0xb2]));
    // Some pixels of the title are dark, so the font was found.
    let title = image::imageops::crop_imm(&image, 0, 0, 700, 60).to_image();
    assert!(title.pixels().filter(|pixel| pixel.0[0] < 80).count() > 200);
}

#[test]
fn a_picture_without_pixels_is_an_error() {
    for scale in [0.0, -1.0, f32::NAN] {
        let error = Plot::default().image(scale).expect_err("no pixels");
        assert!(matches!(error, Error::Encode { .. }), "{error}");
    }
}

#[test]
fn an_extension_that_names_no_format_is_an_error() {
    let error = Plot::default()
        .save("loss.gif")
        .expect_err("no such format");
    assert!(matches!(&error, Error::Extension { .. }));
    assert_eq!(
        error.to_string(),
        "loss.gif: its extension must be .svg or .png"
    );
}
