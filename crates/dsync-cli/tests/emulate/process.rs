//! Runs `dsync emulate`, and reads its API.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    time::Duration,
};

use dsync_cli::directory::Snapshot;
use serde_json::{Value, json};

use crate::support::{Run, command, finish};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running `dsync emulate` on a free port.
pub(crate) struct Emulate {
    /// `None` after its end.
    child: Option<Child>,
    /// Dropped with this, which ends the watchdog.
    _watchdog: Sender<()>,
    stdout: BufReader<ChildStdout>,
    /// What was read from its stdout so far.
    read: String,
    pub(crate) address: String,
    pub(crate) key: String,
}

impl Emulate {
    /// Starts it, by default with a rate of 1000 events a second. With `key`, it is the variable WORKOS_API_KEY.
    pub(crate) fn start(key: Option<&str>, arguments: &[&str]) -> Self {
        let mut command = command();
        command.args(["emulate", "--listen", "127.0.0.1:0"]).args(arguments);
        if !arguments.contains(&"--rate") {
            command.args(["--rate", "1000"]);
        }
        command.env_remove("WORKOS_API_KEY").envs(key.map(|key| ("WORKOS_API_KEY", key)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let watchdog = watch(child.id());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (address, read) = (String::new(), String::new());
        let mut emulate = Self {
            child: Some(child),
            _watchdog: watchdog,
            stdout,
            read,
            address,
            key: key.unwrap_or_default().into(),
        };
        emulate.address = emulate.wait_for("export WORKOS_API_BASE=http://");
        if key.is_none() {
            emulate.key = emulate.wait_for("export WORKOS_API_KEY=");
        }
        emulate
    }

    /// Waits for a line of stdout that begins like this, and returns the rest.
    pub(crate) fn wait_for(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "no {start:?} in {}", self.read);
            self.read.push_str(&line);
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
        }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        get(&self.address, path, &self.key)
    }

    /// Every item of a list, page by page.
    pub(crate) fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("{path}&limit=100&order=asc&after={after}"));
            assert_eq!(page.status, 200, "{page:?}");
            items.extend(page.body["data"].as_array().unwrap().iter().cloned());
            match page.body["list_metadata"]["after"].as_str() {
                Some(id) => id.clone_into(&mut after),
                None => return items,
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(kill(name, &pid));
    }

    pub(crate) fn finish(mut self) -> Run {
        self.stdout.read_to_string(&mut self.read).unwrap();
        let run = finish(self.child.take().unwrap());
        Run { stdout: std::mem::take(&mut self.read), ..run }
    }

    /// Takes its stderr.
    pub(crate) fn stderr(&mut self) -> impl BufRead + use<> {
        BufReader::new(self.child.as_mut().unwrap().stderr.take().unwrap())
    }
}

impl Drop for Emulate {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Kills a process that runs for too long, so that its test fails instead of waiting.
fn watch(pid: u32) -> Sender<()> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        if receiver.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            kill("KILL", &pid.to_string());
        }
    });
    sender
}

fn kill(signal: &str, pid: &str) -> bool {
    Command::new("kill").args(["-s", signal, pid]).status().unwrap().success()
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

pub(crate) fn get(address: &str, path: &str, key: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body = serde_json::from_str(body).unwrap_or_default();
    Reply { status, head: head.to_lowercase(), body }
}

pub(crate) const EVENTS: &str = "/events?events=dsync.activated,dsync.deleted,dsync.user.created,dsync.user.updated,\
    dsync.user.deleted,dsync.group.created,dsync.group.updated,dsync.group.deleted,dsync.group.user_added,\
    dsync.group.user_removed";

pub(crate) fn differences(expected: &Snapshot, held: &Value) -> Vec<String> {
    let comparison = expected.compare(held.to_string().as_bytes()).unwrap();
    comparison.differences.iter().map(ToString::to_string).collect()
}

/// Reads the state from the lists.
pub(crate) fn read(emulate: &Emulate) -> Value {
    let [mut users, mut groups, mut memberships] = [const { Vec::new() }; 3];
    let mut directories = emulate.all("/directories?");
    for directory in &mut directories {
        directory["state"] = json!("active");
        let id = directory["id"].as_str().unwrap();
        for mut user in emulate.all(&format!("/directory_users?directory={id}")) {
            user["role"] = user["role"]["slug"].take();
            user["job_title"] = user["custom_attributes"]["job_title"].take();
            users.push(user);
        }
        groups.extend(emulate.all(&format!("/directory_groups?directory={id}")));
    }
    for group in &groups {
        let id = group["id"].as_str().unwrap();
        for user in emulate.all(&format!("/directory_users?group={id}")) {
            memberships.push(json!({"user_id": user["id"], "group_id": id}));
        }
    }
    json!({"directories": directories, "users": users, "groups": groups, "memberships": memberships})
}
