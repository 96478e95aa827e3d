-- The queues in which each change is stored as a job.
CREATE TABLE {p}mirror_outbox (
    name text PRIMARY KEY,
    registered_at @int NOT NULL -- in microseconds since the Unix epoch
) @no_rowid;
