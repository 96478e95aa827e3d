//! The official SDKs of other languages: installed for the run, and timed over the same body by a script of each
//! language, after the rows of that body.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    body::{Order, SIZES, TYPICAL, user_updated},
    sample::quantile,
    sign::{SECRET, workos},
};

/// The versions that are installed.
const NODE_PACKAGE: &str = "@workos-inc/node@11.0.0";
const PYTHON_PACKAGE: &str = "workos==10.8.0";
/// How long a program may take, installing included.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a script measured, in microseconds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sdk {
    /// The name of the row in the JSON.
    pub key: &'static str,
    /// The package and what ran it, with their versions.
    pub label: String,
    microseconds: Vec<f64>,
}

impl Sdk {
    /// The time that `share` of the batches stayed below.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        quantile(self.microseconds.clone(), share)
    }
}

/// Both, or those that can be had; why not goes to standard error.
#[must_use]
pub fn all() -> Vec<Sdk> {
    const SCRIPTS: [(&str, Script); 2] = [("node_sdk", node), ("python_sdk", python)];
    SCRIPTS
        .into_iter()
        .filter_map(|(key, run)| match time(key, run) {
            Ok(sdk) => Some(sdk),
            Err(error) => {
                eprintln!("left out: {key}: {error}");
                None
            }
        })
        .collect()
}

type Script = fn(&Path) -> io::Result<String>;

fn time(key: &'static str, run: Script) -> io::Result<Sdk> {
    #[derive(Deserialize)]
    struct Measured {
        package: String,
        runtime: String,
        microseconds: Vec<f64>,
    }

    let folder = TempDir::new()?;
    let output = run(folder.path())?;
    let Measured { package, runtime, microseconds } = serde_json::from_str(output.trim())?;
    Ok(Sdk { key, label: format!("{package}, {runtime}"), microseconds })
}

fn node(folder: &Path) -> io::Result<String> {
    fs::write(folder.join("time.mjs"), include_str!("../sdks/time.mjs"))?;
    fs::write(folder.join("package.json"), r#"{"private":true}"#)?;
    let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
    finish(Command::new("npm").args(install).arg(NODE_PACKAGE).current_dir(folder), "")?;
    finish(Command::new("node").arg("time.mjs").current_dir(folder), &given(60, 200))
}

fn python(folder: &Path) -> io::Result<String> {
    fs::write(folder.join("time.py"), include_str!("../sdks/time.py"))?;
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", "."];
    finish(Command::new("python3").args(install).arg(PYTHON_PACKAGE).current_dir(folder), "")?;
    finish(Command::new("python3").arg("time.py").current_dir(folder), &given(60, 1000))
}

/// What a script reads.
fn given(batches: u32, times: u32) -> String {
    let length = SIZES.into_iter().find(|(size, _)| *size == TYPICAL).expect("a size").1;
    let delivery = workos(&user_updated(length, Order::DataFirst));
    json!({
        "body": String::from_utf8_lossy(delivery.body()),
        "signature": delivery.signature(),
        "secret": SECRET,
        "batches": batches,
        "times": times,
    })
    .to_string()
}

/// Runs a program to its end, or for as long as it may take.
fn finish(command: &mut Command, input: &str) -> io::Result<String> {
    // Files, not pipes: neither side can then keep the other waiting.
    let folder = TempDir::new()?;
    let (input_path, output_path) = (folder.path().join("in"), folder.path().join("out"));
    fs::write(&input_path, input)?;
    let mut child = command
        .stdin(fs::File::open(&input_path)?)
        .stdout(fs::File::create(&output_path)?)
        .stderr(Stdio::inherit())
        .spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > PATIENCE {
            child.kill()?;
        }
        sleep(Duration::from_millis(20));
    }
    let status = child.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("{command:?}: {status}")));
    }
    fs::read_to_string(output_path)
}
