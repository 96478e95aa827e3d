//! Runs the examples as a user does: as processes, over sockets, with the printed `curl` command in a shell.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod services;

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write as _},
    net::TcpListener,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Once,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower_workos::{
    WebhookSecret,
    testing::{Signer, sample},
};

const SERVERS: [&str; 3] = ["axum", "hyper", "tonic"];

/// The executable of an example, built with the same profile as this test.
fn program(name: &str) -> PathBuf {
    static BUILD: Once = Once::new();
    // target/<profile>/deps/<this test>
    let profile = env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    BUILD.call_once(|| {
        let name = match profile.file_name().and_then(OsStr::to_str) {
            None | Some("debug") => "dev",
            Some(name) => name,
        };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args([
            "build",
            "--quiet",
            "--offline",
            "--all-features",
            "--examples",
            "--profile",
            name,
        ]);
        assert!(cargo.status().unwrap().success(), "the examples don't build");
    });
    profile.join("examples").join(name)
}

/// A running example, killed on drop.
struct Example {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Example {
    fn start(name: &str, secret: Option<&str>) -> Self {
        Self::start_with(name, secret, &[])
    }

    fn start_with(name: &str, secret: Option<&str>, settings: &[(&str, &str)]) -> Self {
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
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned();
        Self { child, stdout, address }
    }

    /// Reads up to and including the first line that contains this.
    fn read_until(&mut self, what: &str) -> String {
        let mut text = String::new();
        while !text.lines().last().is_some_and(|line| line.contains(what)) {
            assert_ne!(self.stdout.read_line(&mut text).unwrap(), 0, "no {what:?} in {text}");
        }
        text
    }

    /// Sends SIGINT and returns the exit code, the rest of stdout, and stderr.
    fn interrupt(mut self) -> (Option<i32>, String, String) {
        let status =
            Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn post(request: http::Request<Full<Bytes>>) -> u16 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = async { client.request(request).await.unwrap().status().as_u16() };
    runtime.block_on(response)
}

/// Runs a shell command that calls `curl` and returns the status line, or `None` if curl isn't installed.
fn curl(command: &str) -> Option<String> {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "curl is not installed in CI");
        let _ = writeln!(std::io::stderr(), "skipped: curl is not installed");
        return None;
    }
    let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

#[test]
fn without_settings_they_deliver_samples() {
    for name in SERVERS {
        let mut example = Example::start(name, None);
        let text = example.read_until("Ctrl-C to stop");
        for &sample in sample::ALL {
            let line = text.lines().find(|line| line.starts_with(&format!("{} ", sample.name())));
            let line = line.unwrap_or_else(|| panic!("{name}: no {} in {text}", sample.name()));
            assert!(line.contains("event_") && line.contains("access"), "{line}");
        }
        assert!(
            text.lines()
                .any(|line| line.starts_with("dsync.user.updated") && line.contains("REVOKED"))
        );

        let command = text.split_once("\ncurl ").unwrap().1.split_once("\n\n").unwrap().0;
        let command = format!("curl {command}");
        if let Some(status) = curl(&command) {
            assert!(status.starts_with("HTTP/1.1 200"), "{name}: {status}");
            assert!(example.read_until("event_by_hand").contains("REVOKED"));
            // The same command with one byte changed.
            let forged = curl(&command.replace("directory_user_7", "directory_user_8")).unwrap();
            assert!(forged.starts_with("HTTP/1.1 401"), "{name}: {forged}");
        }

        let (code, out, err) = example.interrupt();
        assert_eq!((code, out.as_str()), (Some(0), "bye\n"), "{name}: {err}");
    }
}

#[test]
fn with_a_secret_they_only_serve() {
    let text = "whsec_of_an_endpoint";
    for name in SERVERS {
        let mut example = Example::start(name, Some(text));
        let signer = Signer::new(WebhookSecret::new(text).unwrap());
        let deliver = |signer: &Signer, body: Bytes| {
            post(signer.sign(body).into_request(example.address.clone()).unwrap())
        };
        assert_eq!(deliver(&signer, sample::USER_CREATED.with_id("event_genuine")), 200);
        assert_eq!(
            deliver(&signer.clone().seconds(), sample::USER_DELETED.with_id("event_seconds")),
            200
        );
        let stale = signer.clone().at(SystemTime::now() - Duration::from_secs(181));
        assert_eq!(deliver(&stale, sample::USER_CREATED.with_id("event_stale")), 401);
        let other = Signer::new(WebhookSecret::new("whsec_of_another").unwrap());
        assert_eq!(deliver(&other, sample::USER_CREATED.with_id("event_forged")), 401);
        assert_eq!(deliver(&signer, Bytes::from_static(b"{}")), 422);

        let lines = example.read_until("event_seconds");
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines.len(), 2, "one line per event and nothing else: {lines:?}");
        assert!(lines[0].contains("dsync.user.created") && lines[0].contains("event_genuine"));
        assert!(lines[1].contains("dsync.user.deleted") && lines[1].contains("REVOKED"));

        let (code, out, err) = example.interrupt();
        assert_eq!((code, out.as_str()), (Some(0), "bye\n"), "{name}");
        assert!(err.contains("hint="), "the log says what was rejected, with a hint: {err}");
        assert!(!err.contains(text) && !err.contains("northwind"), "{err}");
    }
}

#[test]
fn bad_settings_are_one_clear_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port().to_string();
    for name in SERVERS {
        for (secret, port, expected) in [
            (Some(""), "0", "the webhook secret is empty"),
            (Some("x\n"), "0", "begins or ends with white space"),
            (None, taken.as_str(), "set PORT to a free port"),
            (None, "70000", "PORT is not a number"),
        ] {
            let mut command = Command::new(program(name));
            command.env_remove("WORKOS_WEBHOOK_SECRET").env("PORT", port);
            if let Some(secret) = secret {
                command.env("WORKOS_WEBHOOK_SECRET", secret);
            }
            let output = command.output().unwrap();
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{name}: {err}");
            assert!(output.stdout.is_empty(), "{name}");
            assert_eq!(err.lines().count(), 1, "{name}: {err}");
            assert!(err.starts_with("error: ") && err.contains(expected), "{name}: {err}");
        }
    }
}

/// Both print one line that starts with "handled" per event; the response to its duplicates is 200 too.
fn handles_each_event_once(name: &str, settings: &[(&str, &str)]) {
    let mut example = Example::start_with(name, None, settings);
    let text = example.read_until("Ctrl-C to stop");
    assert_eq!(
        text.lines().filter(|line| line.trim().starts_with("handled")).count(),
        2,
        "{name}: {text}"
    );
    assert_eq!(text.matches("response: 200").count(), 4, "{name}: {text}");
    let (code, out, err) = example.interrupt();
    assert_eq!((code, out.as_str()), (Some(0), "bye\n"), "{name}: {err}");

    // The record survives a restart.
    let secret = "whsec_of_an_endpoint";
    let signer = Signer::new(WebhookSecret::new(secret).unwrap());
    let id = format!("event_{}", std::process::id());
    for life in 0..2 {
        let example = Example::start_with(name, Some(secret), settings);
        let delivery = signer.sign(sample::USER_DEACTIVATED.with_id(&id));
        assert_eq!(post(delivery.into_request(example.address.clone()).unwrap()), 200);
        let (_, out, _) = example.interrupt();
        assert_eq!(out.contains(&id), life == 0, "{name}, life {life}: {out}");
    }
}

#[test]
#[cfg(feature = "sqlite")]
fn dedupe_sqlite_handles_each_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    handles_each_event_once("dedupe_sqlite", &[("DEDUPE_DB", file.to_str().unwrap())]);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]
async fn dedupe_postgres_handles_each_event_once() {
    use sqlx::Row;

    let Some(schema) = services::Schema::create().await else { return };
    let url = format!("{}?options[search_path]={}", services::postgres_url(), schema.name);
    let run = move || handles_each_event_once("dedupe_postgres", &[("DATABASE_URL", &url)]);
    tokio::task::spawn_blocking(run).await.unwrap();
    let row = sqlx::query("SELECT count(*), count(DISTINCT event_id) FROM example_leavers")
        .fetch_one(&schema.pool().await)
        .await
        .unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (3, 3));
    schema.drop().await;
}

#[test]
fn rotate_secrets_loses_no_delivery() {
    let output = Command::new(program("rotate_secrets")).env("PORT", "0").output().unwrap();
    assert!(output.status.success());
    let statuses: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("signed with the ").map(str::to_owned))
        .collect();
    assert_eq!(statuses, ["old: 200", "new: 401", "old: 200", "new: 200", "old: 401", "new: 200"]);
}
