//! What the targets share: a folder in memory for what is read from files, panics that are caught on purpose, and graphs from
//! bytes.

pub mod calls;
pub mod weights;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// A folder of this process, in memory where the system has such a place.
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder for the target `name`.
    ///
    /// # Panics
    /// Where there is no room for it.
    pub fn new(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let home = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = home.join(format!("fuzz-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("there is room");
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file of `bytes`, followed by as many zeros as make it `length` long, and returns its path.
    ///
    /// # Panics
    /// Where there is no room for it.
    pub fn write(&self, name: &str, bytes: &[u8], length: Option<u64>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("there is room");
        if let Some(length) = length.filter(|length| *length > bytes.len() as u64) {
            let file = fs::File::options().write(true).open(&path).expect("it was just written");
            file.set_len(length).expect("there is room");
        }
        path
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.0.join(name));
    }
}

/// Lets a panic be caught, as the code under test may do on purpose. One that nobody catches still ends the process: the
/// fuzzer aborts when it comes out of the target.
pub fn let_panics_be_caught() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            if std::env::var_os("FUZZ_PANICS").is_some() {
                eprintln!("{panic}");
            }
        }));
    });
}

/// The parts of `data` between bytes `0xff`, which no UTF-8 has.
pub fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0xff);
    [(); N].map(|()| parts.next().unwrap_or_default())
}
