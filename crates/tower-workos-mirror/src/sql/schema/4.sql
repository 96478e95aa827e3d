-- For the page: the history of a user, the latest event of a directory, and users by the start of a text.

CREATE INDEX IF NOT EXISTS {i}mirror_applied_user ON {p}mirror_applied (user_id, arrived_at) WHERE user_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS {i}mirror_applied_directory ON {p}mirror_applied (directory_id, arrived_at) WHERE directory_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS {i}mirror_change_user ON {p}mirror_change (user_id, seq) WHERE user_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS {i}mirror_change_directory ON {p}mirror_change (directory_id, seq) WHERE user_id IS NULL AND group_id IS NULL;

-- PostgreSQL's indexes can't hold long texts, and with another collation they can't find texts by their start. SQLite compares
-- by bytes anyway.
CREATE INDEX IF NOT EXISTS {i}mirror_user_name ON {p}mirror_user
    ((left(lower(coalesce(name, first_name || ' ' || last_name, first_name)), 64) COLLATE "C"), id)
    WHERE coalesce(name, first_name, last_name) IS NOT NULL;
CREATE INDEX IF NOT EXISTS {i}mirror_user_last_name ON {p}mirror_user ((left(lower(last_name), 64) COLLATE "C"), id)
    WHERE last_name IS NOT NULL;
@postgres CREATE INDEX IF NOT EXISTS {i}mirror_user_email_start ON {p}mirror_user ((email_key COLLATE "C"), id) WHERE email_key IS NOT NULL;
@postgres CREATE INDEX IF NOT EXISTS {i}mirror_user_id_start ON {p}mirror_user ((id COLLATE "C"));
