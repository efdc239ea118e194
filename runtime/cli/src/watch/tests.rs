//! Changes made as editors, archives and people make them.

use std::sync::mpsc::Sender;
use std::thread;

use tempfile::TempDir;

use super::*;

/// Generous, since machines that run tests are busy.
const AT_LAST: Duration = Duration::from_secs(20);

/// Long enough for a change to be noticed, were there one.
const SOON: Duration = Duration::from_millis(300);

/// A folder of its own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("a rename");
    }

    fn follow(&self, names: &[&str]) -> Changes {
        Changes::new(names.iter().map(|name| self.path(name)).collect()).expect("it can be watched")
    }
}

/// Waits on a thread of its own, so that a change that is missed fails the test instead of hanging it.
struct Noticed(Receiver<()>);

impl Noticed {
    fn by(mut changes: Changes) -> Self {
        let (sender, receiver): (Sender<()>, _) = channel();
        thread::spawn(move || while changes.wait().is_ok() && sender.send(()).is_ok() {});
        Self(receiver)
    }

    /// A change is noticed; one in several parts may be noticed several times.
    #[track_caller]
    fn one(&self) {
        self.0.recv_timeout(AT_LAST).expect("the change is noticed");
        while self.0.recv_timeout(SOON).is_ok() {}
    }

    #[track_caller]
    fn none(&self) {
        self.0.recv_timeout(SOON).expect_err("nothing that is followed has changed");
    }
}

#[test]
fn a_folder_that_is_replaced_is_followed_again_and_again() {
    let place = Place::new();
    for name in ["model/a", "next/a", "last/a"] {
        place.write(name, name);
    }
    let noticed = Noticed::by(place.follow(&["model"]));
    for (away, here) in [("one", "next"), ("two", "last")] {
        place.rename("model", away);
        place.rename(here, "model");
        noticed.one();
        place.write("model/a", "edited");
        noticed.one();
        place.write(&format!("{away}/a"), "nobody follows it");
        noticed.none();
    }
}

#[test]
fn a_file_s_folder_that_is_replaced_is_followed() {
    let place = Place::new();
    place.write("deep/data/in", "1");
    place.write("deep/next/in", "2");
    let noticed = Noticed::by(place.follow(&["deep/data/in"]));
    place.rename("deep/data", "deep/last");
    noticed.one();
    place.rename("deep/next", "deep/data");
    noticed.one();
    place.write("deep/data/in", "3");
    noticed.one();
}

#[test]
fn a_file_whose_folders_come_later_is_followed() {
    let place = Place::new();
    let noticed = Noticed::by(place.follow(&["a/b/c/file"]));
    fs::create_dir(place.path("a")).expect("a folder");
    noticed.none();
    place.write("a/b/c/file", "x");
    noticed.one();
    place.write("a/b/c/file", "y");
    noticed.one();
    fs::remove_dir_all(place.path("a")).expect("they are there");
    noticed.one();
    place.write("a/b/c/file", "z");
    noticed.one();
}

#[test]
fn other_files_do_not_count() {
    let place = Place::new();
    place.write("file", "1");
    let noticed = Noticed::by(place.follow(&["file"]));
    place.write("other", "1");
    fs::read(place.path("file")).expect("it is there");
    noticed.none();
}

#[test]
fn a_change_before_other_files_are_followed_counts_and_what_is_left_out_does_not() {
    let place = Place::new();
    for name in ["kept", "left", "new"] {
        place.write(name, "1");
    }
    let mut changes = place.follow(&["kept", "left"]);
    place.write("kept", "22");
    place.write("new", "22");
    changes.follow(vec![place.path("kept"), place.path("new")]).expect("they can be watched");
    let noticed = Noticed::by(changes);
    noticed.one();
    place.write("left", "22");
    noticed.none();
    place.write("new", "333");
    noticed.one();
}

#[cfg(unix)]
#[test]
fn a_link_on_the_way_that_is_set_anew_counts() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    place.write("releases/1/labels", "one");
    place.write("releases/2/labels", "two");
    fs::create_dir(place.path("app")).expect("a folder");
    symlink("../releases/1", place.path("app/current")).expect("a link");
    let noticed = Noticed::by(place.follow(&["app/current/labels"]));
    symlink("../releases/2", place.path("app/next")).expect("a link");
    place.rename("app/next", "app/current");
    noticed.one();
    place.write("releases/2/labels", "three");
    noticed.one();
    place.write("releases/1/labels", "nobody follows it");
    noticed.none();
}
