//! A path without a folder. The test has a file of its own because it changes the current folder of the whole process.

use std::fs;

#[test]
fn a_path_without_a_folder_is_in_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    for text in ["new", "newer"] {
        chimle_files::write("x.json", text).unwrap();
        let path = folder.path().join("x.json");
        assert_eq!(fs::read_to_string(path).unwrap(), text);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
