//! Whether two paths lead to one file: by the path behind their links. Hard links are not seen through, nor is
//! standard input.

use std::fs;
use std::path::Path;

pub(super) fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

/// Never: standard input does not tell which file it is.
pub(super) fn is_stdin(_path: &Path) -> bool {
    false
}
