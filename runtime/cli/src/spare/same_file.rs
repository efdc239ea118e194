//! Whether two names lead to one file: by its device and number, which hard links share.

use std::fs::{self, File, Metadata};
use std::io::stdin;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(super) fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::metadata(a), fs::metadata(b)), (Ok(a), Ok(b)) if identity(&a) == identity(&b))
}

/// Whether standard input is read from that file. A device loses nothing when it is written to, and is none.
pub(super) fn is_stdin(path: &Path) -> bool {
    let stdin = stdin().as_fd().try_clone_to_owned().and_then(|stdin| File::from(stdin).metadata());
    matches!((stdin, fs::metadata(path)), (Ok(a), Ok(b)) if a.is_file() && identity(&a) == identity(&b))
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
