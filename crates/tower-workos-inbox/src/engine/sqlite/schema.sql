CREATE TABLE {p}inbox_job (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    -- NULL after it was handled.
    body BLOB,
    -- Microseconds since the Unix epoch, like run_at.
    stored_at INTEGER NOT NULL,
    -- When it can be claimed. A claim sets it to the end of its lease.
    run_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- How many claims in a row have not ended yet. If a claim finds more than 0, a process ended while it handled the item.
    open_claims INTEGER NOT NULL DEFAULT 0,
    -- Incremented with each claim, so that only the latest claim can end the job.
    token INTEGER NOT NULL DEFAULT 0,
    -- 0: waiting or being handled; 1: a dead letter; 2: done, kept to recognize duplicates.
    state INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    UNIQUE (queue, key)
);
CREATE INDEX {i}inbox_job_due ON {p}inbox_job (queue, run_at) WHERE state = 0;
CREATE INDEX {i}inbox_job_dead ON {p}inbox_job (queue, seq) WHERE state = 1;
