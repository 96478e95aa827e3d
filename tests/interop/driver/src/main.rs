//! The official SDKs against this crate, both ways; see `../README.md`.
//!
//! ```text
//! interop <axum example> <node.mjs> <python> <sdk.py>
//! ```

mod bodies;
mod process;
mod receive;
mod send;

use std::{env, process::ExitCode};

use process::{Sdk, Server};

type Failure = Box<dyn std::error::Error>;

const SECRET: &str = "whsec_of_the_interop_tests";
const OTHER_SECRET: &str = "whsec_of_somebody_else";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [server, node, python, script] = arguments.as_slice() else {
        eprintln!("run tests/interop/run instead: it passes the four paths");
        return ExitCode::FAILURE;
    };
    match run(server, node, python, script) {
        Ok(Tally { checks, unexpected: 0, .. }) => {
            println!("\n{checks} checks, all as expected");
            ExitCode::SUCCESS
        }
        Ok(Tally { checks, unexpected }) => {
            println!("\n{checks} checks, {unexpected} not as expected");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(server: &str, node: &str, python: &str, script: &str) -> Result<Tally, Failure> {
    let mut node = Sdk::start("node", &[node])?;
    let mut python = Sdk::start(python, &[script])?;
    let mut server = Server::start(server)?;
    let mut tally = Tally::default();
    println!("\n== what the SDKs sign, this crate's axum example receives");
    send::all(&mut node, &mut python, &mut server, &mut tally)?;
    println!("\n== what this crate's Signer signs, the SDKs verify");
    receive::all(&mut node, &mut python, &mut tally)?;
    Ok(tally)
}

/// How many checks there were, and how many went another way than they should have.
#[derive(Default)]
struct Tally {
    checks: usize,
    unexpected: usize,
}

impl Tally {
    /// Counts and prints one check, with what there is to say about it.
    fn check(&mut self, who: &str, what: &str, as_expected: bool, result: &str) {
        self.checks += 1;
        let mark = if as_expected {
            "ok  "
        } else {
            self.unexpected += 1;
            "FAIL"
        };
        println!("{mark} {who:<22} {what:<46} {result}");
    }
}
