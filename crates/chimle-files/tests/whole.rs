//! The contents of a path and its folder after a write.

use std::fs;
use std::io::{Error, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use std::time::Duration;

use chimle_files::{remove_temporary_files, sync_folder, write, write_with};
use tempfile::TempDir;

/// Creates a folder with the file `a.txt`, which contains "previous and longer".
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "previous and longer").unwrap();
    folder
}

/// Returns the names in a folder, hidden files included.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_file_has_the_bytes() {
    let folder = folder();
    let path = folder.path().join("b.bin");
    write(&path, [0, 1, 255]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [0, 1, 255]);
    assert_eq!(names(folder.path()), ["a.txt", "b.bin"]);
}

#[test]
fn all_contents_are_replaced() {
    let folder = folder();
    let path = folder.path().join("a.txt");
    write(&path, "new").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    write(&path, []).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    assert_eq!(names(folder.path()), ["a.txt"]);
}

#[test]
fn many_small_writes_arrive_in_order() {
    let folder = folder();
    let path = folder.path().join("a.txt");
    write_with(&path, |file| {
        (0..20_000).try_for_each(|number| write!(file, "{number} "))
    })
    .unwrap();
    let expected: String = (0..20_000).map(|number| format!("{number} ")).collect();
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn the_previous_contents_stay_until_the_closure_is_done() {
    let folder = folder();
    let path = folder.path().join("a.txt");
    write_with(&path, |file| {
        file.write_all(&[b'x'; 100_000])?;
        file.flush()?;
        assert_eq!(fs::read_to_string(&path).unwrap(), "previous and longer");
        Ok(())
    })
    .unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 100_000);
}

#[test]
fn a_closure_that_fails_or_panics_leaves_the_previous_file_alone() {
    let folder = folder();
    let path = folder.path().join("a.txt");
    let error = write_with(&path, |file| {
        file.write_all(&[b'x'; 100_000])?;
        Err(Error::other("the reason"))
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "the reason");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        write_with(&path, |file| {
            file.write_all(&[b'x'; 100_000])?;
            panic!("expected by this test")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "previous and longer");
    assert_eq!(names(folder.path()), ["a.txt"]);
}

#[test]
fn a_missing_folder_is_an_error_without_temporary_names() {
    let folder = folder();
    let path = folder.path().join("missing").join("a.txt");
    let error = write(&path, "new").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!error.to_string().contains("chimle"), "{error}");
    assert_eq!(names(folder.path()), ["a.txt"]);
}

#[test]
fn a_folder_at_the_path_is_an_error() {
    let folder = folder();
    let path = folder.path().join("sub");
    fs::create_dir(&path).unwrap();
    let error = write(&path, "new").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsADirectory);
    assert_eq!(names(folder.path()), ["a.txt", "sub"]);
}

/// The closure creates a folder at the file's path, so the temporary file is written but cannot be renamed.
#[test]
fn a_rename_that_fails_leaves_no_temporary_file() {
    let folder = folder();
    let path = folder.path().join("b.txt");
    let failed = write_with(&path, |file| {
        fs::create_dir(&path)?;
        file.write_all(b"new")
    });
    assert!(failed.is_err());
    assert!(path.is_dir());
    assert_eq!(names(folder.path()), ["a.txt", "b.txt"]);
}

#[cfg(unix)]
#[test]
fn a_new_file_has_the_permissions_of_any_new_file() {
    let folder = folder();
    let path = folder.path().join("b.txt");
    write(&path, "new").unwrap();
    // `folder` wrote a.txt with the standard library.
    let usual = fs::metadata(folder.path().join("a.txt")).unwrap();
    let made = fs::metadata(&path).unwrap();
    assert_eq!(made.permissions(), usual.permissions());
}

#[cfg(unix)]
#[test]
fn a_replaced_file_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = folder.path().join("a.txt");
    for mode in [0o600, 0o640, 0o666, 0o755, 0o444] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        write(&path, format!("{mode:o}")).unwrap();
        let found = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(found & 0o7777, mode, "{found:o}");
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{mode:o}"));
    }
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_stays_and_its_target_is_replaced() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    let sub = folder.path().join("sub");
    fs::create_dir(&sub).unwrap();
    // Two links in a row. One of them is relative to a folder that is not the current one.
    symlink("../a.txt", sub.join("link")).unwrap();
    symlink(sub.join("link"), folder.path().join("first")).unwrap();
    write(folder.path().join("first"), "new").unwrap();
    let target = folder.path().join("a.txt");
    assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    assert!(!target.is_symlink());
    assert!(sub.join("link").is_symlink() && folder.path().join("first").is_symlink());
    assert_eq!(names(folder.path()), ["a.txt", "first", "sub"]);
    assert_eq!(names(&sub), ["link"]);
}

#[cfg(unix)]
#[test]
fn the_missing_target_of_a_symbolic_link_is_created() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    symlink("b.txt", folder.path().join("link")).unwrap();
    write(folder.path().join("link"), "new").unwrap();
    assert!(folder.path().join("link").is_symlink());
    let target = folder.path().join("b.txt");
    assert_eq!(fs::read_to_string(target).unwrap(), "new");
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_are_an_error() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    symlink("two", folder.path().join("one")).unwrap();
    symlink("one", folder.path().join("two")).unwrap();
    assert!(write(folder.path().join("one"), "new").is_err());
    assert_eq!(names(folder.path()), ["a.txt", "one", "two"]);
}

#[cfg(unix)]
#[test]
fn a_named_pipe_gets_the_bytes_and_stays() {
    use std::os::unix::fs::FileTypeExt;
    let folder = folder();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let reader = std::thread::spawn({
        let path = path.clone();
        move || fs::read_to_string(path).unwrap()
    });
    write(&path, "through the pipe").unwrap();
    assert_eq!(reader.join().unwrap(), "through the pipe");
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    assert_eq!(names(folder.path()), ["a.txt", "pipe"]);
}

#[test]
fn a_folder_can_be_synced() {
    let folder = folder();
    sync_folder(folder.path()).unwrap();
    sync_folder("").unwrap();
    if cfg!(unix) {
        let missing = sync_folder(folder.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}

#[test]
fn only_temporary_files_that_are_old_are_removed() {
    let folder = folder();
    let killed = folder.path().join(".chimle-abc.tmp");
    fs::write(&killed, "half").unwrap();
    fs::write(folder.path().join(".chimle-note"), "not temporary").unwrap();
    let failures = remove_temporary_files(folder.path(), Duration::from_secs(3600));
    assert!(failures.is_empty() && killed.exists());
    let failures = remove_temporary_files(folder.path(), Duration::ZERO);
    assert!(failures.is_empty());
    assert_eq!(names(folder.path()), [".chimle-note", "a.txt"]);
    assert!(remove_temporary_files(folder.path().join("missing"), Duration::ZERO).is_empty());
}
