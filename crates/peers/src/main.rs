//! Prints the comparison: `cargo run --release -p peers -- --help`.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use clap::Parser;
use peers::{
    body::{SIZES, TYPICAL},
    plot, report, rows,
    run::{Allocations, Run},
    sample::{Effort, Samples},
    sdks,
};

/// Compare tower-workos with other webhook verifiers on the same deliveries
#[derive(Parser)]
struct Options {
    /// Run a few rounds only, without the SDKs, to check that every row does the work that it is timed for
    #[arg(long)]
    quick: bool,
    /// Leave out the official Node and Python SDKs, which are installed from npm and PyPI into a temporary folder
    #[arg(long)]
    no_sdks: bool,
    /// Also draw the README's chart
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "benches/peers.svg")]
    plot: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let mut run = Run::default();
    run.allocations = allocations();
    // The layer's timer needs a runtime, even though it never fires here.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let _guard = runtime.enter();
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
    report::print(&run, &mut out)?;
    out.flush()
}

/// Half a minute for the typical body, a few seconds for each of the others.
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

/// Builds and runs `peers-allocations`. If that fails, the reason is written to standard error and the table has no
/// allocations.
fn allocations() -> BTreeMap<String, BTreeMap<String, Allocations>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", "peers", "--bin", "peers-allocations"])
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output();
    output.and_then(|output| Ok(serde_json::from_slice(&output.stdout)?)).unwrap_or_else(|error| {
        eprintln!("allocations not counted: {error}");
        BTreeMap::new()
    })
}
