-- Repair from the API. Times are microseconds since the Unix epoch.

ALTER TABLE {p}mirror_directory ADD COLUMN environment text; -- the environment whose list contained it
ALTER TABLE {p}mirror_directory ADD COLUMN listed_at @int; -- the latest complete list of its users and groups
ALTER TABLE {p}mirror_directory ADD COLUMN compared_at @int; -- when they were last compared, even if nothing was removed
ALTER TABLE {p}mirror_group ADD COLUMN listed_at @int; -- the latest complete list of its members

-- Find what has been absent long enough to count as deleted.
CREATE INDEX {i}mirror_directory_absent ON {p}mirror_directory (absent_at)
    WHERE absent_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX {i}mirror_group_absent ON {p}mirror_group (absent_at) WHERE absent_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX {i}mirror_user_absent ON {p}mirror_user (absent_at) WHERE absent_at IS NOT NULL AND deleted_at IS NULL;

-- The items of the API's lists, until they are merged. It can be emptied if no run is under way.
CREATE TABLE {p}mirror_stage (
    directory_id text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    user_id text NOT NULL, -- of a member of the group `id`, otherwise empty
    item text, -- as it was sent
    PRIMARY KEY (directory_id, kind, id, user_id)
);

-- The leases of the runs. The lease of a process that was killed ends at `expires_at`.
CREATE TABLE {p}mirror_run (
    subject text PRIMARY KEY,
    run text NOT NULL,
    expires_at @int NOT NULL
);

-- The latest runs over all directories of an environment.
CREATE TABLE {p}mirror_repair (
    environment text PRIMARY KEY,
    first_at @int, -- the first one that compared every directory
    succeeded_at @int, -- the latest one that succeeded
    finished_at @int,
    report text -- counts, as JSON
);

-- Positions in the Events API.
CREATE TABLE {p}mirror_poll (
    stream text PRIMARY KEY,
    started_at @int NOT NULL, -- where the stream begins
    after text, event_at @int, -- the last event that was applied
    drained_at @int -- when the API had no further event
);
