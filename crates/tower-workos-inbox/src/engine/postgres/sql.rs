//! The statements.

use crate::names::Names;

/// The statements that are used often, with the names of the tables.
#[derive(Debug)]
pub(crate) struct Sql {
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
    pub(super) fn new(names: &Names) -> Self {
        let schema = names.graphile();
        let sql = |template: &str| {
            names
                .sql(template)
                .replace("{g}", &format!("\"{schema}\""))
                .replace("{max_attempts}", &MAX_ATTEMPTS.to_string())
        };
        // Adds a job for each row of `due (seq, token, run_at)`, if there is any: `add_jobs` always notifies the workers.
        let add = "SELECT count(*) FROM \
             (SELECT array_agg((ROW('item', json_build_object('seq', seq, 'token', token), NULL, run_at, {max_attempts}, \
                                    NULL, NULL, NULL))::{g}.job_spec ORDER BY seq) AS specs \
              FROM due HAVING count(*) > 0) AS batch, LATERAL {g}.add_jobs(batch.specs)";
        Self {
            store: sql(&format!(
                "WITH item AS (SELECT * FROM unnest($3::text[], $4::text[], $5::bytea[], $6::text[]) \
                               AS item (key, name, body, error)), \
                 stored AS (INSERT INTO {{p}}inbox_job (queue, key, name, body, stored_at, state, error) \
                         SELECT $1, key, name, body, $2, CASE WHEN error IS NULL THEN 0 ELSE 1 END, error FROM item \
                         ON CONFLICT (queue, key) DO NOTHING RETURNING seq, key, token, state), \
                 due AS (SELECT seq, token, NULL::timestamptz AS run_at FROM stored WHERE state = 0), \
                 job AS ({add}) \
                 SELECT key, (SELECT * FROM job) FROM stored"
            )),
            load: sql("SELECT seq, token, key, name, body, attempts, stored_at FROM {p}inbox_job \
                 WHERE seq = ANY($1) AND queue = $2 AND state = 0"),
            // The lock of the job is the fence: if another worker has taken it over, nothing changes.
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
                             FROM held WHERE inbox.seq = held.seq AND inbox.token = held.token AND inbox.state = 0 \
                             RETURNING inbox.seq, inbox.token, inbox.state, held.micros), \
                 due AS (SELECT seq, token, now() + micros * interval '1 microsecond' AS run_at FROM changed WHERE state = 0), \
                 job AS ({add}) \
                 SELECT (SELECT count(*) FROM held), (SELECT * FROM job)"
            )),
            revive: sql(&format!(
                "WITH due AS (UPDATE {{p}}inbox_job SET state = 0, attempts = 0, token = token + 1, error = NULL \
                              WHERE queue = $1 AND seq = $2 AND state = 1 \
                              RETURNING seq, token, NULL::timestamptz AS run_at), \
                 job AS ({add}) \
                 SELECT (SELECT * FROM job) FROM due"
            )),
            // A row and its job change in one transaction, so a row without one was left behind by somebody else.
            repair: sql(&format!(
                "WITH job AS MATERIALIZED (SELECT (payload->>'seq')::bigint AS seq FROM {{g}}._private_jobs), \
                 due AS (UPDATE {{p}}inbox_job AS inbox SET token = inbox.token + 1 \
                         WHERE queue = $1 AND state = 0 AND NOT EXISTS (SELECT FROM job WHERE job.seq = inbox.seq) \
                         RETURNING seq, token, NULL::timestamptz AS run_at), \
                 added AS ({add}) \
                 SELECT * FROM added"
            )),
            complete: sql(
                "WITH held AS (DELETE FROM {g}._private_jobs WHERE id = $1 AND locked_by = $2 AND attempts = $3 RETURNING id) \
                 UPDATE {p}inbox_job AS inbox SET state = 2, attempts = $6, body = NULL, error = NULL FROM held \
                 WHERE inbox.seq = $4 AND inbox.token = $5 AND inbox.state = 0",
            ),
            release: sql(
                "UPDATE {g}._private_jobs SET locked_by = NULL, locked_at = NULL, attempts = greatest(attempts - 1, 0) \
                 WHERE locked_by = $1 AND locked_at < now() - $2::bigint * interval '1 microsecond' AND NOT id = ANY($3)",
            ),
            release_all: sql(
                "UPDATE {g}._private_jobs SET locked_by = NULL, locked_at = NULL WHERE locked_by = $1",
            ),
        }
    }
}
