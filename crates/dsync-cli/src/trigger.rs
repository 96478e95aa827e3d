//! `dsync trigger`: sends one delivery or a few.

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use clap::Args;
use serde_json::value::RawValue;
use tower_workos::{
    Timestamp,
    testing::{
        Delivery, Signer,
        sample::{self, Sample},
    },
};

use crate::{
    args,
    client::{Answer, Client},
    endpoint::Endpoint,
    failure::{Failure, NO},
    ids::fresh_id,
    input::stdin,
    json,
    network::Network,
    output::{complain, say, say_text},
    secret::SecretArgs,
};

/// The number of characters of a response that are shown.
const SHOWN: usize = 2000;

/// Sign and send a realistic delivery of an event
#[derive(Args)]
#[command(after_long_help = MANUAL)]
pub(crate) struct Trigger {
    /// The event, such as user.created or dsync.user.created
    #[arg(value_parser = event, conflicts_with = "all")]
    event: Option<Sample>,

    /// The endpoint's URL
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/webhooks/workos")]
    to: Endpoint,

    /// Send one of each event, in an order in which they could happen
    #[arg(long, conflicts_with = "file")]
    all: bool,

    /// Set a value in the body. A value that is not JSON is a string. Can be repeated
    #[arg(long, value_name = "PATH=VALUE", value_parser = assignment)]
    set: Vec<(String, Box<RawValue>)>,

    /// Send the body in this file unchanged; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "event")]
    file: Option<PathBuf>,

    /// Send this many deliveries, one after the other, each with a new id (the body of --file keeps its id)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,

    /// Sign as of this time: RFC 3339, Unix time, or relative to now, such as -10m or +30s
    #[arg(long, value_name = "TIME", value_parser = args::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,

    /// Sign with a time in seconds and without a space, as the WorkOS emulator does
    #[arg(long)]
    seconds: bool,

    /// Send nothing; print the body, the header and a curl command
    #[arg(long)]
    dry_run: bool,

    /// How long to wait for a response
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = args::duration)]
    timeout: Duration,

    #[command(flatten)]
    secret: SecretArgs,
}

const MANUAL: &str = "\
Events:
  activated  deleted
  user.created  user.updated  user.deactivated  user.deleted
  group.created  group.updated  group.deleted  group.user_added  group.user_removed
  token.created  token.revoked

`user.deactivated` is a `dsync.user.updated` whose user is inactive, as some providers report a user who leaves. Each \
delivery has a new event id, and the current time as its `created_at` and as the `updated_at` of its object.

Exit codes:
  0    every delivery was acknowledged with 2xx
  1    a delivery was rejected or got no response
  2    an invalid option, no secret, or a file that can't be read

Examples:
  A user leaves:
    dsync trigger user.deactivated --set data.id=directory_user_7
  One of each event, to another endpoint:
    dsync trigger --all --to https://staging.example.com/webhooks/workos
  A recorded body, signed ten minutes ago (your server should reject it):
    dsync trigger --file body.json --at -10m
  The same event three times (your server should handle it once):
    dsync trigger user.created --set id=event_1 --count 3
  Print the delivery as a curl command:
    dsync trigger group.user_added --dry-run";

impl Trigger {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let bodies = self.bodies()?;
        let signer = self.signer()?;
        if self.dry_run {
            for _ in 0..self.count {
                for body in &bodies {
                    self.show(&signer.sign(body.of(self.at)?));
                }
            }
            return Ok(ExitCode::SUCCESS);
        }
        let network = Network::new(self.to.clone()).map_err(Failure::no)?;
        let client = Client::new(network, self.timeout).keep_text();
        let mut code = ExitCode::SUCCESS;
        for _ in 0..self.count {
            for body in &bodies {
                let delivery = signer.sign(body.of(self.at)?);
                match client.deliver(&delivery).await {
                    Ok(answer) => {
                        tell(delivery.body(), &answer);
                        if !answer.status.is_success() {
                            code = ExitCode::from(NO);
                        }
                    }
                    Err(error) => return Err(Failure::no(error.to_string())),
                }
            }
        }
        Ok(code)
    }

    fn signer(&self) -> Result<Signer, Failure> {
        let mut signer = Signer::new(self.secret.webhook_secret()?);
        if let Some(at) = self.at {
            signer = signer.at(at);
        }
        Ok(if self.seconds { signer.seconds() } else { signer })
    }

    fn bodies(&self) -> Result<Vec<Template>, Failure> {
        let set = |body: String| {
            self.set.iter().try_fold(body, |body, (path, value)| {
                json::set(&body, path, value).map_err(Failure::usage)
            })
        };
        if let Some(path) = &self.file {
            let bytes = if path.as_os_str() == "-" {
                stdin()?
            } else {
                fs::read(path).map_err(|error| {
                    Failure::usage(format!("can't read {}: {error}", path.display()))
                })?
            };
            if self.set.is_empty() {
                return Ok(vec![Template { body: bytes.into(), renew: Renew::default() }]);
            }
            let text = String::from_utf8(bytes).map_err(|_| {
                Failure::usage(
                    "--set needs a body that is valid UTF-8: send this one without --set",
                )
            })?;
            return Ok(vec![Template { body: set(text)?.into(), renew: Renew::default() }]);
        }
        let samples = match self.event {
            Some(sample) => vec![sample],
            None if self.all => sample::ALL.to_vec(),
            None => {
                return Err(Failure::usage(
                    "no event: name one, or pass --all or --file; `dsync trigger --help` lists the events",
                ));
            }
        };
        let is_set = |path: &str| self.set.iter().any(|(set, _)| set == path);
        let template = |sample: Sample| {
            let renew = Renew {
                id: !is_set("id"),
                created_at: !is_set("created_at"),
                updated_at: !is_set("data.updated_at") && has_updated_at(sample),
            };
            Ok(Template { body: set(sample.body().to_owned())?.into(), renew })
        };
        samples.into_iter().map(template).collect()
    }

    fn show(&self, delivery: &Delivery) {
        let body = String::from_utf8_lossy(delivery.body());
        let whole = say_text(&body);
        say("");
        say(format!("workos-signature: {}", delivery.signature()));
        say("");
        say_text(&format!(
            "curl -i {} -H 'content-type: application/json' -H {} --data-binary {}\n",
            quoted(&self.to.to_string()),
            quoted(&format!("workos-signature: {}", delivery.signature())),
            quoted(&body),
        ));
        if std::str::from_utf8(delivery.body()).is_err() {
            complain("warning: the body is not valid UTF-8, so the output above is not exact");
        } else if !whole {
            complain("warning: the body contains control characters, which are shown as escapes");
        }
    }
}

/// A body, and which of its fields are new in each delivery.
struct Template {
    body: Bytes,
    renew: Renew,
}

#[derive(Default)]
struct Renew {
    id: bool,
    created_at: bool,
    updated_at: bool,
}

impl Template {
    fn of(&self, at: Option<Timestamp>) -> Result<Bytes, Failure> {
        let Renew { id, created_at, updated_at } = self.renew;
        if !(id || created_at || updated_at) {
            return Ok(self.body.clone());
        }
        let now = at.unwrap_or_else(|| SystemTime::now().into());
        let mut body = String::from_utf8_lossy(&self.body).into_owned();
        let mut renew = |wanted: bool, path: &str, text: String| {
            if wanted {
                body = json::set(&body, path, &json::text(&text)).map_err(Failure::usage)?;
            }
            Ok(())
        };
        renew(id, "id", format!("event_{}", fresh_id(now.as_unix_millis())))?;
        renew(created_at, "created_at", json::time(now))?;
        renew(updated_at, "data.updated_at", json::time(now))?;
        Ok(body.into())
    }
}

fn tell(body: &Bytes, answer: &Answer) {
    let event = tower_workos::DirectoryEvent::parse(body.clone());
    let what = match &event {
        Ok(event) => format!("{} {}", event.name(), event.id()),
        Err(_) => "body".to_owned(),
    };
    say(format!("{what}: {} in {:.1?}", answer.status, answer.elapsed));
    let text = String::from_utf8_lossy(&answer.text);
    let text = text.trim();
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    for line in shown.lines() {
        say(format!("  {line}"));
    }
}

/// Quotes a text for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn event(name: &str) -> Result<Sample, String> {
    let short = name.strip_prefix("dsync.").unwrap_or(name);
    if short == "user.deactivated" {
        return Ok(sample::USER_DEACTIVATED);
    }
    let known =
        sample::ALL.iter().copied().find(|it| it.name().strip_prefix("dsync.") == Some(short));
    known.ok_or_else(|| "unknown event; `dsync trigger --help` lists the events".to_owned())
}

fn assignment(text: &str) -> Result<(String, Box<RawValue>), String> {
    match text.split_once('=') {
        Some((path, value)) if !path.is_empty() => Ok((path.to_owned(), json::value(value))),
        _ => Err("give PATH=VALUE, such as data.email=a@b.example".to_owned()),
    }
}

/// Returns whether the object of the event has an `updated_at`. Memberships and tokens have none.
fn has_updated_at(sample: Sample) -> bool {
    !sample.name().contains("token") && !sample.name().contains("user_")
}
