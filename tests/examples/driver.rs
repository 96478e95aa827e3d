//! Runs examples as a user does: real processes, real sockets.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part")]

#[path = "cargo.rs"]
pub mod nested;

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Once,
    thread::sleep,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

/// The executable of an example, built with the same profile as this test.
pub fn program(name: &str) -> PathBuf {
    static BUILD: Once = Once::new();
    // target/<profile>/deps/<this test>
    let profile = env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    BUILD.call_once(|| {
        let name = match profile.file_name().and_then(OsStr::to_str) {
            None | Some("debug") => "dev",
            Some(name) => name,
        };
        let mut cargo = nested::cargo();
        cargo.args([
            "build",
            "--quiet",
            "--offline",
            "--all-features",
            "--examples",
            "--package",
            super::PACKAGE,
            "--profile",
            name,
        ]);
        assert!(cargo.status().unwrap().success(), "the examples don't build");
    });
    profile.join("examples").join(name)
}

/// A running example, killed on drop.
pub struct Example {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub address: String,
}

impl Example {
    pub fn start(name: &str, secret: Option<&str>) -> Self {
        Self::start_with(name, secret, &[])
    }

    pub fn start_with(name: &str, secret: Option<&str>, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program(name));
        command.env_remove("WORKOS_WEBHOOK_SECRET").env("PORT", "0").stdout(Stdio::piped());
        command.stderr(Stdio::piped()).envs(settings.iter().copied());
        if let Some(secret) = secret {
            command.env("WORKOS_WEBHOOK_SECRET", secret);
        }
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("listening on ").map(str::to_owned) else {
            let _ = child.kill();
            let mut err = String::new();
            child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
            panic!("{name} does not listen: {line}{err}");
        };
        Self { child, stdout, address }
    }

    /// Reads up to and including the first line that contains this.
    pub fn read_until(&mut self, what: &str) -> String {
        let mut text = String::new();
        while !text.lines().last().is_some_and(|line| line.contains(what)) {
            assert_ne!(self.stdout.read_line(&mut text).unwrap(), 0, "no {what:?} in {text}");
        }
        text
    }

    /// Sends SIGINT and returns the exit code, the rest of stdout, and stderr.
    pub fn interrupt(mut self) -> (Option<i32>, String, String) {
        self.wait_for_handler();
        let status =
            Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }

    /// An example prints its address shortly before it handles SIGINT. Until then, the signal kills it. Linux shows which
    /// signals a process handles; other systems take the risk.
    fn wait_for_handler(&self) {
        const SIGINT: u64 = 1 << (2 - 1);
        let path = format!("/proc/{}/status", self.child.id());
        let is_missing = || {
            let status = fs::read_to_string(&path).ok()?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            Some(u64::from_str_radix(caught.trim(), 16).ok()? & SIGINT == 0)
        };
        let begin = Instant::now();
        while is_missing().unwrap_or(false) {
            assert!(begin.elapsed() < Duration::from_secs(10), "SIGINT is not handled");
            sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn post(request: http::Request<Full<Bytes>>) -> u16 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = async { client.request(request).await.unwrap().status().as_u16() };
    runtime.block_on(response)
}
