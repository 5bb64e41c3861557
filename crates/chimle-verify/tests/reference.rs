//! `verify` on the numbers of the authors' release, which are too large to commit.

use std::env;
use std::path::PathBuf;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_verify::{Check, verify};

#[test]
#[ignore = "needs the reference numbers: set CHIMLE_REFERENCE and CHIMLE_WEIGHTS"]
fn this_build_agrees_with_the_reference() {
    let folder = |variable: &str| -> PathBuf {
        let folder = env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set"));
        folder.into()
    };
    let (reference, weights) = (folder("CHIMLE_REFERENCE"), folder("CHIMLE_WEIGHTS"));
    let mut each = |check: &Check| println!("{check}");
    let device = Default::default();
    let checks = verify::<Autodiff<Flex>>(&reference, Some(&weights), &device, &mut each).unwrap();
    let failed = checks.iter().filter(|check| check.failed());
    let failed: Vec<String> = failed.map(Check::to_string).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
