//! The table: `cargo run --release -p peers`. What the words after ` -- ` do stands in [`HELP`].
#![allow(clippy::expect_used, reason = "a bench may panic")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use peers::{
    body::{SIZES, TYPICAL},
    plot,
    report::{Allocations, Run},
    rows,
    sample::{Effort, Samples},
    sdks,
};

const HELP: &str = "\
cargo run --release -p peers -- [--quick] [--no-sdks] [--plot [FILE]]

  --quick        a few rounds, no SDKs: shows that every row does what it is timed for
  --no-sdks      without the official Node and Python SDKs, which are installed from npm and PyPI into a scratch folder
  --plot [FILE]  also writes the README's chart (default: benches/peers.svg)";

#[derive(Default)]
struct Options {
    quick: bool,
    no_sdks: bool,
    plot: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = match options(env::args().skip(1)) {
        Ok(options) => options,
        Err(word) => {
            eprintln!("not understood: {word}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => options.quick = true,
            "--no-sdks" => options.no_sdks = true,
            "--plot" => {
                let file = words.next_if(|word| !word.starts_with("--"));
                options.plot = Some(file.unwrap_or_else(|| "benches/peers.svg".to_owned()).into());
            }
            _ => return Err(word),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> io::Result<()> {
    let mut run = Run::default();
    run.allocations = allocations();
    // The layer's timer wants a runtime around it, even though here it never fires.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let _inside = runtime.enter();
    for (size, length) in SIZES {
        let mut rows = rows::all(size, length);
        run.sizes.push((size, Samples::take(&mut rows, effort(options, length))));
        if size == TYPICAL && !options.quick && !options.no_sdks {
            run.sdks = sdks::all();
        }
    }
    if let Some(file) = &options.plot {
        fs::write(file, plot::svg(&run)?)?;
    }
    let mut out = io::stdout().lock();
    run.print(&mut out)?;
    out.flush()
}

/// Half a minute for the typical body, some seconds for each of the others.
fn effort(options: &Options, length: usize) -> Effort {
    let batch = Duration::from_micros(if options.quick { 20 } else { 150 });
    let rounds = match length {
        _ if options.quick => 10,
        0..10_000 => 3000,
        10_000..100_000 => 1000,
        _ => 400,
    };
    Effort { rounds, batch }
}

/// What the program beside this one counts, built by the cargo that runs this one. Without it the table has no such
/// columns, and standard error says so.
fn allocations() -> BTreeMap<String, BTreeMap<String, Allocations>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", "peers", "--bin", "peers-allocations"])
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .stderr(Stdio::inherit())
        .output();
    let counted = output.map_err(|error| error.to_string()).and_then(|output| {
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    });
    counted.unwrap_or_else(|error| {
        eprintln!("allocations not counted: {error}");
        BTreeMap::new()
    })
}
