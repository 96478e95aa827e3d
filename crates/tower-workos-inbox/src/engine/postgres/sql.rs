//! The statements.

use crate::names::Names;

/// The statements that are used often, with the names of the tables.
#[derive(Debug)]
pub(crate) struct Sql {
    /// The schema of graphile_worker's tables.
    pub(super) graphile: String,
    pub(super) task: String,
    pub(super) store: String,
    pub(super) load: String,
    pub(super) end: String,
    pub(super) revive: String,
    pub(super) repair: String,
    pub(super) complete: String,
    pub(super) release: String,
    pub(super) release_all: String,
}

/// The attempts that graphile_worker itself allows. Its column is a `smallint`. A failed attempt makes a new job, so only
/// attempts that were cut short count.
pub(super) const MAX_ATTEMPTS: i16 = i16::MAX;

impl Sql {
    /// `{p}inbox_job` is our table, and `{g}` the schema of graphile_worker.
    pub(super) fn new(names: &Names, graphile: String) -> Self {
        let sql = |template: &str| {
            names
                .sql(template)
                .replace("{g}", &format!("\"{graphile}\""))
                .replace("{max_attempts}", &MAX_ATTEMPTS.to_string())
        };
        // Adds a job for each row of `due (seq, token, run_at)`. graphile_worker's function `add_jobs` does the same in seven
        // statements, six of which are for what these jobs don't have.
        let job = "job AS (INSERT INTO {g}._private_jobs (task_id, payload, run_at, max_attempts) \
             SELECT (SELECT id FROM {g}._private_tasks WHERE identifier = 'item'), \
                    json_build_object('seq', seq, 'token', token), run_at, {max_attempts} FROM due)";
        let notify = "(SELECT pg_notify('jobs:insert', '') WHERE EXISTS (SELECT FROM due))";
        Self {
            task: sql(
                "INSERT INTO {g}._private_tasks (identifier) VALUES ('item') ON CONFLICT DO NOTHING",
            ),
            store: sql(&format!(
                "WITH item AS (SELECT * FROM unnest($3::text[], $4::text[], $5::bytea[], $6::text[]) \
                               AS item (key, name, body, error)), \
                 stored AS (INSERT INTO {{p}}inbox_job (queue, key, name, body, stored_at, state, error) \
                         SELECT $1, key, name, body, $2, CASE WHEN error IS NULL THEN 0 ELSE 1 END, error FROM item \
                         ON CONFLICT (queue, key) DO NOTHING RETURNING seq, key, token, state), \
                 due AS (SELECT seq, token, now() AS run_at FROM stored WHERE state = 0), \
                 {job} \
                 SELECT key, {notify} FROM stored"
            )),
            load: sql(
                "SELECT seq, token, state, key, name, body, attempts, stored_at FROM {p}inbox_job \
                 WHERE seq = ANY($1)",
            ),
            // The lock of the job is the fence: if another worker has taken it over, nothing changes. `state < 1` keeps the planner
            // away from the partial index, which has all rows that wait.
            end: sql(&format!(
                "WITH ended AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[], \
                                                     $6::integer[], $7::smallint[], $8::bigint[], $9::text[]) \
                                AS ended (job, worker, claim, seq, token, attempts, state, micros, error)), \
                 held AS (DELETE FROM {{g}}._private_jobs AS jobs USING ended \
                          WHERE jobs.id = ended.job AND jobs.locked_by = ended.worker AND jobs.attempts = ended.claim \
                          RETURNING ended.*), \
                 changed AS (UPDATE {{p}}inbox_job AS inbox \
                             SET state = held.state, attempts = held.attempts, error = held.error, \
                                 token = inbox.token + CASE WHEN held.state = 0 THEN 1 ELSE 0 END, \
                                 body = CASE WHEN held.state = 2 THEN NULL ELSE inbox.body END \
                             FROM held WHERE inbox.seq = held.seq AND inbox.token = held.token AND inbox.state < 1 \
                             RETURNING inbox.seq, inbox.token, inbox.state, held.micros), \
                 due AS (SELECT seq, token, now() + micros * interval '1 microsecond' AS run_at FROM changed WHERE state = 0), \
                 {job} \
                 SELECT count(*) FROM held"
            )),
            revive: sql(&format!(
                "WITH due AS (UPDATE {{p}}inbox_job SET state = 0, attempts = 0, token = token + 1, error = NULL \
                              WHERE queue = $1 AND seq = $2 AND state = 1 \
                              RETURNING seq, token, now() AS run_at), \
                 {job} \
                 SELECT {notify} FROM due"
            )),
            // A row and its job change in one transaction, so a row without one was left behind by somebody else.
            repair: sql(&format!(
                "WITH existing AS MATERIALIZED (SELECT (payload->>'seq')::bigint AS seq FROM {{g}}._private_jobs), \
                 due AS (UPDATE {{p}}inbox_job AS inbox SET token = inbox.token + 1 \
                         WHERE queue = $1 AND state = 0 AND NOT EXISTS (SELECT FROM existing WHERE existing.seq = inbox.seq) \
                         RETURNING seq, token, now() AS run_at), \
                 {job} \
                 SELECT {notify}"
            )),
            complete: sql(
                "WITH held AS (DELETE FROM {g}._private_jobs WHERE id = $1 AND locked_by = $2 AND attempts = $3 RETURNING id) \
                 UPDATE {p}inbox_job AS inbox SET state = 2, attempts = $6, body = NULL, error = NULL FROM held \
                 WHERE inbox.seq = $4 AND inbox.token = $5 AND inbox.state < 1",
            ),
            release: sql(
                "UPDATE {g}._private_jobs SET locked_by = NULL, locked_at = NULL, attempts = greatest(attempts - 1, 0) \
                 WHERE locked_by = $1 AND locked_at < now() - $2::bigint * interval '1 microsecond' AND NOT id = ANY($3)",
            ),
            release_all: sql(
                "UPDATE {g}._private_jobs SET locked_by = NULL, locked_at = NULL WHERE locked_by = $1",
            ),
            graphile: graphile.clone(),
        }
    }
}
