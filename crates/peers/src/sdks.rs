//! The official SDKs of other languages. They are installed for the run; a script in each language times them with the
//! same body.

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
    body::{Order, TYPICAL_LENGTH, user_updated},
    sample::Sampled,
    sign::{SECRET, workos},
};

/// The versions that are installed.
const NODE_PACKAGE: &str = "@workos-inc/node@11.0.0";
const PYTHON_PACKAGE: &str = "workos==10.8.0";
/// How long a program, an installer included, may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Times the SDKs. One that can't be installed or run is left out, and the reason is written to standard error.
#[must_use]
pub fn all() -> Vec<Sampled> {
    const SCRIPTS: [(&str, Script); 2] = [("node_sdk", node), ("python_sdk", python)];
    SCRIPTS
        .into_iter()
        .filter_map(|(key, run)| {
            time(key, run).inspect_err(|error| eprintln!("left out: {key}: {error}")).ok()
        })
        .collect()
}

type Script = fn(&Path) -> io::Result<String>;

fn time(key: &'static str, run: Script) -> io::Result<Sampled> {
    #[derive(Deserialize)]
    struct Output {
        package: String,
        runtime: String,
        microseconds: Vec<f64>,
    }

    let folder = TempDir::new()?;
    let Output { package, runtime, microseconds } = serde_json::from_str(&run(folder.path())?)?;
    if microseconds.is_empty() {
        return Err(io::Error::other("the script measured nothing"));
    }
    Ok(Sampled::new(key, format!("{package}, {runtime}"), microseconds))
}

fn node(folder: &Path) -> io::Result<String> {
    fs::write(folder.join("time.mjs"), include_str!("../sdks/time.mjs"))?;
    fs::write(folder.join("package.json"), r#"{"private":true}"#)?;
    let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
    run(Command::new("npm").args(install).arg(NODE_PACKAGE).current_dir(folder), "")?;
    run(Command::new("node").arg("time.mjs").current_dir(folder), &input(60, 200))
}

fn python(folder: &Path) -> io::Result<String> {
    fs::write(folder.join("time.py"), include_str!("../sdks/time.py"))?;
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", "."];
    run(Command::new("python3").args(install).arg(PYTHON_PACKAGE).current_dir(folder), "")?;
    run(Command::new("python3").arg("time.py").current_dir(folder), &input(60, 1000))
}

/// The standard input of a script.
fn input(batches: u32, times: u32) -> String {
    let delivery = workos(&user_updated(TYPICAL_LENGTH, Order::DataFirst));
    json!({
        "body": String::from_utf8_lossy(delivery.body()),
        "signature": delivery.signature(),
        "secret": SECRET,
        "batches": batches,
        "times": times,
    })
    .to_string()
}

/// Runs a program and returns its standard output. Kills it after [`TIMEOUT`].
fn run(command: &mut Command, input: &str) -> io::Result<String> {
    // Files instead of pipes: a full pipe could block both sides.
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
        if start.elapsed() > TIMEOUT {
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
