//! `cargo xtask tidy`: the house rules as a program. Each rule lives in a file of its own and returns what it found.

mod arrows;
mod length;
mod modules;
mod purity;
mod words;

use crate::process::{root, tracked_files};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// One text file of the repository, read once for all rules.
pub(crate) struct Source {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "rs")
    }

    pub(crate) fn is_under(&self, folder: &str) -> bool {
        self.path.starts_with(Path::new(folder))
    }
}

/// Changed copies of others' crates keep the shape their authors gave them: no rule looks here.
const NOT_OURS: &str = "third_party";

pub(crate) fn run() -> Result<()> {
    let mut sources = Vec::new();
    for path in tracked_files()?.into_iter().filter(|path| !path.starts_with(NOT_OURS)) {
        if let Ok(text) = std::fs::read_to_string(root().join(&path)) {
            sources.push(Source { path, text });
        }
    }
    let mut found = arrows::check()?;
    found.extend(length::check(&sources)?);
    found.extend(modules::check(&sources));
    found.extend(purity::check(&sources));
    found.extend(words::check(&sources));
    if found.is_empty() {
        println!("tidy: {} files, no findings", sources.len());
        return Ok(());
    }
    for line in &found {
        eprintln!("{line}");
    }
    bail!("{} findings", found.len())
}
