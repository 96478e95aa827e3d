//! Writes the expected state.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use dsync_cli::directory::Snapshot;

use crate::{failure::Failure, output::say};

/// The file of `--state`.
pub(crate) struct StateFile {
    file: fs::File,
    path: PathBuf,
}

impl StateFile {
    /// Creates the file. Do this first, so that an error does not waste a whole run.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let file = fs::File::create(path).map_err(|error| failure(path, &error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    pub(crate) fn write(mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        let mut out = io::BufWriter::new(&mut self.file);
        serde_json::to_writer_pretty(&mut out, snapshot)
            .map_err(io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.flush())
            .map_err(|error| failure(&self.path, &error))?;
        say(format!("state         written to {}", self.path.display()));
        Ok(())
    }
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("can't write {}: {error}", path.display()))
}
