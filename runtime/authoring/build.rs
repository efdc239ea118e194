//! Has the crate compiled again when a file is added to what it carries along.

fn main() {
    for folder in ["templates", "../../plugins/sdk", "../graph", "../../wit/v0.1"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
