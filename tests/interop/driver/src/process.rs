//! The processes that take part: the SDKs and the server. Each dies with its value.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{Failure, SECRET};

/// An SDK that answers a line for a line.
pub struct Sdk {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Sdk {
    pub fn start(program: &str, arguments: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        let input = process.stdin.take().ok_or("no pipe")?;
        let output = BufReader::new(process.stdout.take().ok_or("no pipe")?);
        Ok(Self { process, input, output })
    }

    pub fn ask(&mut self, request: &Value) -> Result<Value, Failure> {
        writeln!(self.input, "{request}")?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("an SDK's process ended early; its own words stand above".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The axum example, and the lines that it prints.
pub struct Server {
    process: Child,
    lines: Receiver<String>,
    pub url: String,
}

impl Server {
    pub fn start(program: &str) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        // Its log says of each rejection why; most here are wanted.
        command.env("WORKOS_WEBHOOK_SECRET", SECRET).env("PORT", "0").stderr(Stdio::null());
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let output = BufReader::new(process.stdout.take().ok_or("no pipe")?);
        let (sender, lines) = channel();
        thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut server = Self { process, lines, url: String::new() };
        let line = server.lines.recv_timeout(Duration::from_secs(30))?;
        server.url = line.strip_prefix("listening on ").ok_or("an unknown first line")?.to_owned();
        Ok(server)
    }

    /// What it printed since the last look, after a moment for the last line.
    pub fn printed(&self) -> Vec<String> {
        let mut printed = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(20)) {
            printed.push(line);
        }
        printed
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
