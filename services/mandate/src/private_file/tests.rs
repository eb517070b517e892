//! Writes real files and looks at what is left of them.

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_was_written_is_read_back_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.pem");
    assert_eq!(read(&path).unwrap(), None);
    write(&path, "one").unwrap();
    write(&path, "two").unwrap();
    assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    remove(&path).unwrap();
    remove(&path).unwrap();
    assert_eq!(read(&path).unwrap(), None);
}

#[test]
fn a_draft_that_a_crash_left_is_not_reused() {
    let folder = tempfile::tempdir().unwrap();
    let draft = folder.path().join("secret.new");
    fs::write(&draft, "half").unwrap();
    fs::set_permissions(&draft, Permissions::from_mode(0o666)).unwrap();
    let path = folder.path().join("secret.pem");
    write(&path, "whole").unwrap();
    assert_eq!((read(&path).unwrap().as_deref(), mode(&path)), (Some("whole"), 0o600));
}

#[test]
fn an_open_folder_is_closed_to_others() {
    let data_dir = tempfile::tempdir().unwrap();
    let path = data_dir.path().join("a/b");
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    folder(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
}

#[test]
fn a_refusal_of_the_disk_names_the_path_and_what_to_do() {
    let data_dir = tempfile::tempdir().unwrap();
    let file = data_dir.path().join("file");
    write(&file, "").unwrap();
    let below = file.join("below");
    for error in [folder(&below).unwrap_err(), read(&below).unwrap_err(), write(&below, "").unwrap_err()] {
        assert_eq!(error.path(), below);
        let sentence = error.to_string();
        assert!(sentence.contains(below.to_str().unwrap()), "{sentence}");
        assert!(sentence.contains("choose another data directory"), "{sentence}");
    }
}
