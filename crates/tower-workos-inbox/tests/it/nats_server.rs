//! A NATS server of a test's own, which can be killed.

use std::{
    env,
    net::TcpListener,
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::process::Child;
use tower_workos_inbox::{Inbox, QueueBuilder};

use crate::support::until;

/// Its messages survive a restart.
pub(crate) struct Server {
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// Returns `None` if the program is not installed, unless `REQUIRE_SERVICES` is set.
    pub(crate) async fn new(arguments: &[&str]) -> Option<Self> {
        if Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(env::var("REQUIRE_SERVICES").is_err(), "nats-server is not installed");
            println!("skipped: nats-server is not installed");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments = arguments.iter().map(|&it| it.to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { port, folder, arguments, process: None };
        server.start().await;
        Some(server)
    }

    pub(crate) async fn start(&mut self) {
        let process = tokio::process::Command::new("nats-server")
            .args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"])
            .arg(self.folder.path())
            .args(&self.arguments)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let address = ("127.0.0.1", self.port);
        until("the server listens", async || tokio::net::TcpStream::connect(address).await.is_ok())
            .await;
    }

    /// Ends it without warning.
    pub(crate) async fn kill(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// Asks it to end.
    pub(crate) async fn terminate(&mut self) {
        let mut process = self.process.take().unwrap();
        let id = process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        process.wait().await.unwrap();
    }

    pub(crate) fn url(&self, credentials: &str) -> String {
        format!("nats://{credentials}127.0.0.1:{}", self.port)
    }

    pub(crate) async fn context(&self) -> async_nats::jetstream::Context {
        async_nats::jetstream::new(async_nats::connect(self.url("")).await.unwrap())
    }

    /// A queue with settings that make a failure quick.
    pub(crate) async fn builder(&self) -> QueueBuilder<tower_workos::DirectoryEvent> {
        Inbox::builder(self.context().await).timeout(Duration::from_millis(500))
    }
}
