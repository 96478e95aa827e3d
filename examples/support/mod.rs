//! Shared by the examples: settings, a sender, and a description of an event.
#![allow(dead_code, unreachable_pub, reason = "no example uses all of it")]

use std::{
    env,
    error::Error,
    fmt::Write as _,
    future::Future,
    io::{IsTerminal as _, Write as _},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower_workos::{
    AccessChange, DirectoryEvent, EventData, Verifier, VerifyWebhookLayer, WebhookSecret,
    testing::{Delivery, Signer, sample},
};

pub type BoxError = Box<dyn Error + Send + Sync>;

/// The path of the endpoint.
pub const PATH: &str = "/webhooks/workos";

const SECRET_VARIABLE: &str = "WORKOS_WEBHOOK_SECRET";

/// Runs an example. An error is printed as one line on stderr.
pub fn main<F: Future<Output = Result<(), BoxError>>>(example: F) -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(example) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

fn fail(error: &dyn Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Prints a line. Unlike `println!`, doesn't panic if stdout is closed: that must not fail a delivery.
pub fn say(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", line.as_ref());
}

/// The endpoint's settings, from the environment or, if it has none, for a demonstration.
pub struct Settings {
    pub layer: VerifyWebhookLayer,
    /// Signs with the generated secret in a demonstration.
    pub demo: Option<Signer>,
}

impl Settings {
    pub fn from_env() -> Result<Self, BoxError> {
        if env::var_os(SECRET_VARIABLE).is_some() {
            let secret = WebhookSecret::from_env(SECRET_VARIABLE)
                .map_err(|error| format!("{SECRET_VARIABLE}: {error}"))?;
            return Ok(Self { layer: VerifyWebhookLayer::new(secret), demo: None });
        }
        let secret = random_secret()?;
        // A day instead of three minutes, so that the printed command works for longer.
        let verifier = Verifier::new(secret.clone()).tolerance(Duration::from_secs(24 * 60 * 60));
        Ok(Self { layer: VerifyWebhookLayer::new(verifier), demo: Some(Signer::new(secret)) })
    }
}

pub fn random_secret() -> Result<WebhookSecret, BoxError> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let mut secret = String::from("whsec_");
    for byte in bytes {
        write!(secret, "{byte:02x}")?;
    }
    Ok(WebhookSecret::new(secret)?)
}

/// A listener on 127.0.0.1 at `PORT`, 3000 by default.
pub async fn bind() -> Result<TcpListener, BoxError> {
    let port = match env::var("PORT") {
        Ok(port) => port
            .parse::<u16>()
            .map_err(|_| "PORT is not a number from 0 to 65535; set it to a free port")?,
        Err(env::VarError::NotPresent) => 3000,
        Err(env::VarError::NotUnicode(_)) => {
            return Err("PORT is not a number from 0 to 65535; set it to a free port".into());
        }
    };
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
        format!("can't listen on 127.0.0.1:{port} ({error}); set PORT to a free port").into()
    })
}

/// Completes on Ctrl-C or, on Unix, SIGTERM.
pub async fn shutdown() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// The id of the user, or of the directory with all its users, whose access an event revokes.
pub fn revoked(event: &DirectoryEvent) -> Option<&str> {
    match event.access_change()? {
        AccessChange::Revoked(user) => Some(user.id.as_str()),
        AccessChange::DirectoryRevoked(directory) => Some(directory.id.as_str()),
        _ => None,
    }
}

/// Describes an event in one line: its name, its effect on access, and the object's id.
pub fn describe(event: &DirectoryEvent) -> String {
    let object = match event.data() {
        EventData::DirectoryActivated(directory) | EventData::DirectoryDeleted(directory) => {
            directory.id.to_string()
        }
        EventData::GroupCreated(group) | EventData::GroupDeleted(group) => group.id.to_string(),
        EventData::GroupUpdated(change) => change.group.id.to_string(),
        EventData::GroupUserAdded(membership) | EventData::GroupUserRemoved(membership) => {
            format!("{} in {}", membership.user.id, membership.group.id)
        }
        EventData::TokenCreated(token) | EventData::TokenRevoked(token) => token.id.to_string(),
        EventData::UserCreated(user) | EventData::UserDeleted(user) => user.id.to_string(),
        EventData::UserUpdated(change) => change.user.id.to_string(),
        _ => "not a Directory Sync event of this version".to_owned(),
    };
    let access = match event.access_change() {
        Some(AccessChange::Granted(_)) => "access granted",
        Some(AccessChange::Changed(_)) => "access changed",
        Some(AccessChange::Revoked(_)) => "access REVOKED",
        Some(AccessChange::MembershipAdded { .. }) => "group access added",
        Some(AccessChange::MembershipRemoved { .. }) => "group access removed",
        Some(AccessChange::GroupChanged(_)) => "group access changed",
        Some(AccessChange::GroupRevoked(_)) => "group access REVOKED",
        Some(AccessChange::DirectoryRevoked(_)) => "directory access REVOKED",
        _ => "no access changed",
    };
    format!("{:<24} {access:<24} {object} ({})", event.name(), event.id())
}

/// Delivers one sample of each event, then prints a command that delivers another.
pub async fn demonstrate(signer: Signer, address: SocketAddr) -> Result<(), BoxError> {
    say(format!(
        "{SECRET_VARIABLE} is not set; delivering one sample of each event to this server\n"
    ));
    for sample in sample::ALL.iter().copied().chain([sample::USER_DEACTIVATED]) {
        let status = deliver(signer.sign(sample), address).await?;
        if status != 200 {
            return Err(
                format!("the response to the sample of {} is {status}", sample.name()).into()
            );
        }
    }
    let by_hand = signer.sign(
        r#"{"id":"event_by_hand","event":"dsync.user.updated","data":{"id":"directory_user_7","state":"inactive"}}"#,
    );
    say("\nto deliver an event yourself (if you change a byte of it, it is rejected):\n");
    say(curl(&by_hand, address));
    say(format!(
        "\nto receive real events, set {SECRET_VARIABLE} to your endpoint's secret; press Ctrl-C to stop"
    ));
    Ok(())
}

/// Delivers one event three times, then another one, and prints the responses.
pub async fn demonstrate_duplicates(signer: Signer, address: SocketAddr) -> Result<(), BoxError> {
    let [first, second] = [random_id()?, random_id()?];
    for (what, id) in [
        ("an event", &first),
        ("the same event again", &first),
        ("and once more", &first),
        ("another event", &second),
    ] {
        say(format!("{what}:"));
        let status = deliver(signer.sign(sample::USER_DEACTIVATED.with_id(id)), address).await?;
        say(format!("  response: {status}"));
    }
    say(format!(
        "\nto receive real events, set {SECRET_VARIABLE} to your endpoint's secret; press Ctrl-C to stop"
    ));
    Ok(())
}

fn random_id() -> Result<String, BoxError> {
    let mut bytes = [0; 13];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.iter().fold(String::from("event_"), |id, byte| id + &format!("{byte:02X}")))
}

/// Sends a delivery over HTTP and returns the status of the response.
pub async fn deliver(delivery: Delivery, address: SocketAddr) -> Result<u16, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request: Request<Full<Bytes>> = delivery.into_request(format!("http://{address}{PATH}"))?;
    Ok(client.request(request).await?.status().as_u16())
}

/// The shell command that sends a delivery.
fn curl(delivery: &Delivery, address: SocketAddr) -> String {
    format!(
        "curl -i http://{address}{PATH} -H 'content-type: application/json' \\\n  -H 'workos-signature: {}' \\\n  -d '{}'",
        delivery.signature(),
        String::from_utf8_lossy(delivery.body()),
    )
}
