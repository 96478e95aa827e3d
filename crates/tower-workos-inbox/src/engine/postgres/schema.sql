CREATE TABLE {p}inbox_job (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    name text NOT NULL,
    -- NULL after it was handled.
    body bytea,
    -- Microseconds since the Unix epoch.
    stored_at bigint NOT NULL,
    -- The attempts of the jobs before the current one, and those of the current one once it has ended.
    attempts integer NOT NULL DEFAULT 0,
    -- Which of graphile_worker's jobs is the current one. Incremented with each new job.
    token bigint NOT NULL DEFAULT 0,
    -- 0: waiting or being handled; 1: a dead letter; 2: done, kept to recognize duplicates.
    state smallint NOT NULL DEFAULT 0,
    error text,
    UNIQUE (queue, key)
);
CREATE INDEX {i}inbox_job_waiting ON {p}inbox_job (queue, stored_at) WHERE state = 0;
CREATE INDEX {i}inbox_job_dead ON {p}inbox_job (queue, seq) WHERE state = 1;
