//! Whether two paths lead to one file: by the path behind their links. Hard links are not seen through.

use std::fs;
use std::path::Path;

pub(super) fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
