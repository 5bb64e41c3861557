//! Tests of the contents of a page's file.

mod scenes;

use std::collections::HashSet;

use base64::Engine;
use chimle_show::{Error, Measure, Page};
use image::RgbImage;

fn uris(html: &str) -> Vec<&str> {
    html.split("data:image/png;base64,")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

#[test]
fn each_image_is_there_once_and_decodes_to_itself() {
    let page = scenes::page();
    let html = page.html().expect("a page");
    let uris = uris(&html);
    let images: Vec<&RgbImage> = page
        .inputs
        .iter()
        .flat_map(|input| {
            [&input.conditioning]
                .into_iter()
                .chain(&input.samples)
                .chain(&input.truths)
        })
        .collect();
    assert_eq!(uris.len(), images.len());
    assert_eq!(uris.iter().collect::<HashSet<_>>().len(), images.len());
    for (uri, image) in uris.iter().zip(images) {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(uri)
            .expect("base64");
        let decoded = image::load_from_memory(&bytes).expect("a PNG").to_rgb8();
        assert_eq!(&decoded, image);
    }
}

#[test]
fn no_text_can_leave_its_place() {
    let hostile = "</script><script>alert('x')</script>\" onload=\"y {{script}} \u{2028}";
    let mut input = scenes::input(hostile, (16, 16), 1, 1, 0);
    input.name = hostile.into();
    let page = Page {
        title: hostile.into(),
        settings: vec![(hostile.into(), hostile.into())],
        inputs: vec![input],
        measures: vec![Measure::new(hostile, hostile, hostile)],
        curves: vec![chimle_show::Plot {
            title: hostile.into(),
            ..scenes::loss()
        }],
    };
    let html = page.html().expect("a page");
    let harmless = Page::default().html().expect("a page");
    // The images of one input add one element; the hostile texts add none.
    for (tag, added) in [("<script", 1), ("</script", 1)] {
        let count = |html: &str| html.matches(tag).count();
        assert_eq!(count(&html), count(&harmless) + added, "{tag}");
    }
    // A quotation mark is written `&quot;` in markup and `\"` in JSON.
    assert!(html.contains("&quot; onload=") && html.contains("\\\" onload="));
    let left = html
        .replace("&quot; onload=", "")
        .replace("\\\" onload=", "");
    assert!(!left.contains("onload="));
    let scripts = html
        .split("<script")
        .skip(1)
        .filter_map(|script| script.split("</script").next());
    assert!(scripts.clone().count() >= 3);
    assert!(
        scripts
            .into_iter()
            .all(|script| !script.contains('\u{2028}'))
    );
    assert_eq!(html.matches("\"use strict\"").count(), 1);
}

#[test]
fn nothing_is_fetched() {
    let html = scenes::page().html().expect("a page");
    let addresses: HashSet<_> = html
        .split("http")
        .skip(1)
        .filter(|rest| rest.starts_with("://") || rest.starts_with("s://"))
        .map(|rest| &rest[..rest.find('"').unwrap_or(20)])
        .collect();
    assert_eq!(addresses, HashSet::from(["://www.w3.org/2000/svg"]));
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn the_key_of_the_favorites_changes_with_the_images() {
    let key = |page: &Page| {
        let html = page.html().expect("a page");
        let start = html.find("data-run=\"").expect("a key") + 10;
        html[start..start + 16].to_owned()
    };
    let mut page = scenes::page();
    let before = key(&page);
    assert_eq!(key(&page), before);
    page.inputs[0].samples.swap(0, 1);
    assert_ne!(key(&page), before);
}

#[test]
fn parts_without_content_are_left_out() {
    let html = Page::default().html().expect("a page");
    for id in ["curves", "measures", "settings"] {
        assert!(!html.contains(&format!("id=\"{id}\"")));
        assert!(!html.contains(&format!("href=\"#{id}\"")));
    }
    assert!(!html.contains("{{"), "a slot is left");
    let page = Page {
        measures: vec![Measure::new("PSNR", "24.9", "")],
        ..Page::default()
    };
    assert!(!page.html().expect("a page").contains(">Interval<"));
}

#[test]
fn an_empty_image_is_an_error_that_names_it() {
    let mut page = scenes::page();
    page.inputs[1].samples[2] = RgbImage::new(0, 5);
    page.inputs[1].name = "boat".into();
    let error = page.html().expect_err("no pixels");
    assert_eq!(error.to_string(), "sample 3 of boat has no pixels");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let error = Page::default()
        .save("no/such/folder/page.html")
        .expect_err("no folder");
    assert!(matches!(&error, Error::Write { path, .. } if path.ends_with("page.html")));
    assert!(error.to_string().contains("no/such/folder/page.html"));
}
