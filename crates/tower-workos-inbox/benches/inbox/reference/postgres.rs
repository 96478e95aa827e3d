//! graphile_worker without the inbox, with the same settings as in it.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use graphile_worker::{
    IntoTaskHandlerResult, LocalQueueConfig, RawJobSpec, TaskHandler, Worker, WorkerContext,
    WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

static DONE: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The payload of a stored event.
#[derive(Clone, Deserialize, Serialize)]
struct Task {
    body: String,
}

impl TaskHandler for Task {
    const IDENTIFIER: &'static str = "item";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        DONE.fetch_add(1, Ordering::Relaxed);
        Ok::<(), String>(())
    }
}

pub(crate) struct Graphile {
    pool: PgPool,
    schema: String,
}

impl Graphile {
    pub(crate) async fn new(pool: PgPool, schema: String) -> Self {
        let this = Self { pool, schema };
        this.utils().migrate().await.unwrap();
        this
    }

    fn utils(&self) -> WorkerUtils {
        WorkerUtils::new(self.pool.clone(), self.schema.clone())
    }

    pub(crate) async fn store(&self, payloads: &[Bytes], batch: usize) -> Duration {
        let utils = self.utils();
        let specs: Vec<_> = payloads
            .iter()
            .map(|payload| RawJobSpec {
                identifier: Task::IDENTIFIER.to_owned(),
                payload: serde_json::from_slice(payload).unwrap(),
                spec: Default::default(),
            })
            .collect();
        let begin = Instant::now();
        for batch in specs.chunks(batch) {
            utils.add_raw_jobs(batch).await.unwrap();
        }
        begin.elapsed()
    }

    pub(crate) async fn work(&self, concurrency: usize) -> Duration {
        let jobs = format!("SELECT count(*) FROM {}._private_jobs", self.schema);
        let count =
            || sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(&*jobs)).fetch_one(&self.pool);
        let all = usize::try_from(count().await.unwrap()).unwrap();
        DONE.store(0, Ordering::Relaxed);
        let options = Worker::options()
            .pg_pool(self.pool.clone())
            .schema(self.schema.clone())
            .concurrency(concurrency)
            .listen_os_shutdown_signals(false)
            .local_queue(LocalQueueConfig::default().with_size(concurrency * 4))
            .complete_job_batch_delay(Duration::from_millis(1))
            .define_job::<Task>();
        let worker = Arc::new(options.init().await.unwrap());
        let begin = Instant::now();
        let running = {
            let worker = Arc::clone(&worker);
            tokio::spawn(async move { worker.run().await.map_err(|error| error.to_string()) })
        };
        while DONE.load(Ordering::Relaxed) < all {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        worker.request_shutdown();
        running.await.unwrap().unwrap();
        begin.elapsed()
    }

    pub(crate) async fn remove(self) {
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&self.pool).await.unwrap();
    }
}
