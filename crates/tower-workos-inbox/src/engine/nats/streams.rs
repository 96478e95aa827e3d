//! The streams of a queue.

use std::time::Duration;

use async_nats::jetstream::{
    Context,
    response::Response,
    stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::error::{failed, rejected};
use crate::{
    engine::Settings,
    error::{InboxError, InboxErrorKind},
    names::Names,
};

/// How long the server itself recognizes the id of a message. It makes storing safe to repeat until the key is stored.
const WINDOW: Duration = Duration::from_secs(60 * 60);
/// The version of the streams, in their descriptions.
const VERSION: u64 = 1;
const DESCRIPTION: &str = "tower-workos-inbox, version ";

/// The names of the streams are also their subjects. They contain a character that the prefix and the name of
/// a queue can't contain, so that no queue has another one's stream.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) jobs: String,
    pub(super) dead: String,
    /// Each key has a subject of its own below this one.
    pub(super) keys: String,
    retention: Duration,
    replicas: usize,
}

impl Streams {
    pub(super) fn new(names: &Names, settings: &Settings) -> Self {
        let jobs = format!("{}-{}", names.prefix, names.queue);
        Self {
            dead: format!("{jobs}-dead"),
            keys: format!("{jobs}-keys"),
            jobs,
            retention: settings.retention,
            replicas: settings.replicas,
        }
    }

    pub(super) fn names(&self) -> [&str; 3] {
        [&self.jobs, &self.dead, &self.keys]
    }

    /// Creates the streams that are missing. Of those that exist, only the retention of the keys is changed: limits and replicas
    /// are the operator's.
    pub(super) async fn migrate(&self, context: &Context) -> Result<(), InboxError> {
        let base = Config {
            storage: StorageType::File,
            num_replicas: self.replicas,
            discard: DiscardPolicy::New,
            description: Some(format!("{DESCRIPTION}{VERSION}")),
            duplicate_window: WINDOW,
            ..Config::default()
        };
        let jobs = Config {
            name: self.jobs.clone(),
            subjects: vec![self.jobs.clone()],
            retention: RetentionPolicy::WorkQueue,
            ..base.clone()
        };
        let dead =
            Config { name: self.dead.clone(), subjects: vec![self.dead.clone()], ..base.clone() };
        let keys = Config {
            name: self.keys.clone(),
            subjects: vec![format!("{}.*", self.keys)],
            max_messages_per_subject: 1,
            max_age: self.retention,
            allow_direct: true,
            // The server accepts no window that is longer than the age.
            duplicate_window: WINDOW.min(self.retention),
            ..base
        };
        for config in [jobs, dead, keys] {
            create(context, &config).await?;
        }
        self.set_retention(context).await
    }

    async fn set_retention(&self, context: &Context) -> Result<(), InboxError> {
        let what = "NATS did not update a stream";
        let subject = format!("STREAM.INFO.{}", self.keys);
        // As JSON, so that settings of later servers are kept.
        let mut info: Value = call(context, &subject, &json!({}), what).await?;
        let retention = u64::try_from(self.retention.as_nanos()).unwrap_or(u64::MAX);
        let Some(config) = info.get_mut("config").and_then(Value::as_object_mut) else {
            return Err(InboxError::storage("NATS did not describe a stream"));
        };
        if config.get("max_age").and_then(Value::as_u64) == Some(retention) {
            return Ok(());
        }
        config.insert("max_age".to_owned(), retention.into());
        let window = config.get("duplicate_window").and_then(Value::as_u64).unwrap_or(0);
        config.insert("duplicate_window".to_owned(), window.min(retention).into());
        let subject = format!("STREAM.UPDATE.{}", self.keys);
        let _: Value = call(context, &subject, &config, what).await?;
        Ok(())
    }
}

async fn create(context: &Context, config: &Config) -> Result<(), InboxError> {
    let info = match describe(context, &config.name).await {
        Ok(info) => info,
        Err(error) if error.kind() == InboxErrorKind::NotMigrated => {
            let subject = format!("STREAM.CREATE.{}", config.name);
            match call::<_, Info>(context, &subject, config, "NATS did not create a stream").await {
                Ok(info) => info,
                // Another process has just created it with other settings, or it can't be created.
                Err(error) => match describe(context, &config.name).await {
                    Ok(info) => info,
                    Err(_) => return Err(error),
                },
            }
        }
        Err(error) => return Err(error),
    };
    let name = &config.name;
    let description = info.config.description.unwrap_or_default();
    let version = description.strip_prefix(DESCRIPTION).and_then(|it| it.parse::<u64>().ok());
    match version {
        Some(version) if version > VERSION => {
            return Err(InboxError::config(
                "a later version of tower-workos-inbox has created the streams: update this application",
            ));
        }
        Some(_) if info.config.retention == config.retention => {}
        _ => {
            return Err(InboxError::config(format!(
                "the NATS stream {name} exists, and is not of tower-workos-inbox: choose another prefix"
            )));
        }
    }
    if info.config.storage != StorageType::File {
        return Err(InboxError::config(format!("the NATS stream {name} must be stored in files")));
    }
    Ok(())
}

/// The state and the settings of a stream.
pub(super) async fn describe(context: &Context, stream: &str) -> Result<Info, InboxError> {
    let subject = format!("STREAM.INFO.{stream}");
    call(context, &subject, &json!({}), "NATS did not describe a stream").await
}

/// Calls the API of JetStream. The subject has no prefix.
pub(super) async fn call<T: Serialize, R: DeserializeOwned>(
    context: &Context,
    subject: &str,
    request: &T,
    what: &str,
) -> Result<R, InboxError> {
    let response = context.request(subject.to_owned(), request).await;
    match response.map_err(|error| failed(what, error))? {
        Response::Ok(response) => Ok(response),
        Response::Err { error } => Err(rejected(what, error)),
    }
}
