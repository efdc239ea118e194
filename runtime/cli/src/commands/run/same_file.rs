//! Whether two paths lead to one file: by its device and number, which hard links share.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(super) fn same_file(a: &Path, b: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((identity(a), identity(b)), (Ok(a), Ok(b)) if a == b)
}
