-- Times are microseconds since the Unix epoch.

CREATE TABLE {p}mirror_migration (
    version @int PRIMARY KEY,
    applied_at @int NOT NULL
);

CREATE TABLE {p}mirror_directory (
    id text PRIMARY KEY,
    ev_updated @int, ev_at @int, ev_inactive @int, ev_event text, -- the version of the latest event
    list_at @int, list_updated @int, -- the version of the latest list of the API
    spare text, -- the document of the version that is not shown, if both exist
    evidence_at @int, absent_at @int,
    deleted_at @int, deleted_by text,
    organization_id text, name text, type text, state text, domains text, created_at @int, updated_at @int,
    sweep text, -- after a deletion: how far its groups and users were swept
    swept_at @int
);
CREATE INDEX {i}mirror_directory_sweep ON {p}mirror_directory (id) WHERE deleted_at IS NOT NULL AND swept_at IS NULL;
CREATE INDEX {i}mirror_directory_organization ON {p}mirror_directory (organization_id);

CREATE TABLE {p}mirror_group (
    id text PRIMARY KEY,
    directory_id text,
    ev_updated @int, ev_at @int, ev_inactive @int, ev_event text,
    list_at @int, list_updated @int,
    spare text,
    evidence_at @int, absent_at @int,
    deleted_at @int, deleted_by text,
    organization_id text, idp_id text, name text, raw_attributes text, created_at @int, updated_at @int,
    swept_at @int -- when its memberships were removed, after a deletion
) @update_room;
CREATE INDEX {i}mirror_group_sweep ON {p}mirror_group (id) WHERE deleted_at IS NOT NULL AND swept_at IS NULL;
CREATE INDEX {i}mirror_group_directory ON {p}mirror_group (directory_id, id);
CREATE INDEX {i}mirror_group_organization ON {p}mirror_group (organization_id, id) WHERE organization_id IS NOT NULL;
CREATE INDEX {i}mirror_group_no_organization ON {p}mirror_group (directory_id, id)
    WHERE organization_id IS NULL AND deleted_at IS NULL;

CREATE TABLE {p}mirror_user (
    id text PRIMARY KEY,
    directory_id text,
    ev_updated @int, ev_at @int, ev_inactive @int, ev_event text,
    list_at @int, list_updated @int,
    spare text,
    evidence_at @int, absent_at @int,
    deleted_at @int, deleted_by text,
    organization_id text, idp_id text, email text, email_key text, first_name text, last_name text, name text,
    state text, role text, roles text, custom_attributes text, created_at @int, updated_at @int,
    swept_at @int
) @update_room;
CREATE INDEX {i}mirror_user_sweep ON {p}mirror_user (id) WHERE deleted_at IS NOT NULL AND swept_at IS NULL;
CREATE INDEX {i}mirror_user_directory ON {p}mirror_user (directory_id, id);
-- These leave out deleted users, who have nothing but ids. None contains a column that changes with every event.
CREATE INDEX {i}mirror_user_organization ON {p}mirror_user (organization_id, id) WHERE organization_id IS NOT NULL;
CREATE INDEX {i}mirror_user_no_organization ON {p}mirror_user (directory_id, id)
    WHERE organization_id IS NULL AND deleted_at IS NULL;
CREATE INDEX {i}mirror_user_email ON {p}mirror_user (email_key, id) WHERE email_key IS NOT NULL;
CREATE INDEX {i}mirror_user_idp ON {p}mirror_user (idp_id, id) WHERE idp_id IS NOT NULL;

CREATE TABLE {p}mirror_member (
    group_id text NOT NULL,
    user_id text NOT NULL,
    op_at @int, op_removed @int, op_event text, -- the latest time at which the user joined or left
    absent_at @int,
    PRIMARY KEY (group_id, user_id)
) @no_rowid;
CREATE INDEX {i}mirror_member_user ON {p}mirror_member (user_id, group_id);

-- Which events arrived: for the history, not for correctness.
CREATE TABLE {p}mirror_applied (
    event_id text PRIMARY KEY,
    name text NOT NULL,
    directory_id text, group_id text, user_id text,
    happened_at @int, arrived_at @int NOT NULL,
    changes @int NOT NULL -- how many changes it caused
) @no_rowid;
CREATE INDEX {i}mirror_applied_arrived ON {p}mirror_applied (arrived_at);

-- The feed.
CREATE TABLE {p}mirror_change (
    seq @seq,
    kind text NOT NULL,
    directory_id text, group_id text, user_id text,
    fields text, -- separated by commas
    event_id text,
    happened_at @int, recorded_at @int NOT NULL
);

-- Positions in streams: those of consumers, and how far the feed was purged.
CREATE TABLE {p}mirror_cursor (
    stream text PRIMARY KEY,
    after @int NOT NULL,
    moved_at @int NOT NULL
);

-- Genuine deliveries that could not be applied.
CREATE TABLE {p}mirror_dead_letter (
    seq @seq,
    event_id text,
    name text,
    reason text NOT NULL,
    body @bytes NOT NULL,
    body_hash text NOT NULL UNIQUE,
    issued_at @int,
    arrived_at @int NOT NULL
);
CREATE INDEX {i}mirror_dead_letter_arrived ON {p}mirror_dead_letter (arrived_at);

-- The documented views.

@view {p}directories AS
SELECT d.id, d.organization_id, d.name, d.type, d.state, coalesce(@json(d.domains), '[]') AS domains,
    @time(d.created_at) AS created_at, @time(d.updated_at) AS updated_at,
    coalesce(d.state, 'active') IN ('active', 'invalid_credentials', 'linked', 'validating') AS gives_access
FROM {p}mirror_directory d
WHERE d.deleted_at IS NULL AND d.evidence_at >= coalesce(d.absent_at, d.evidence_at);

-- The two parts of groups and of users differ in where the organization comes from. With coalesce() instead, no index
-- could find the users of an organization.

@view {p}groups AS
SELECT g.id, g.directory_id, g.organization_id, g.idp_id, g.name, coalesce(@json(g.raw_attributes), @empty_object) AS raw_attributes,
    @time(g.created_at) AS created_at, @time(g.updated_at) AS updated_at
FROM {p}mirror_group g
LEFT JOIN {p}mirror_directory d ON d.id = g.directory_id
WHERE g.organization_id IS NOT NULL
    AND g.deleted_at IS NULL AND g.evidence_at >= coalesce(g.absent_at, g.evidence_at)
    AND d.deleted_at IS NULL AND (d.absent_at IS NULL OR d.evidence_at >= d.absent_at)
UNION ALL
SELECT g.id, g.directory_id, d.organization_id, g.idp_id, g.name, coalesce(@json(g.raw_attributes), @empty_object) AS raw_attributes,
    @time(g.created_at) AS created_at, @time(g.updated_at) AS updated_at
FROM {p}mirror_group g
LEFT JOIN {p}mirror_directory d ON d.id = g.directory_id
WHERE g.organization_id IS NULL
    AND g.deleted_at IS NULL AND g.evidence_at >= coalesce(g.absent_at, g.evidence_at)
    AND d.deleted_at IS NULL AND (d.absent_at IS NULL OR d.evidence_at >= d.absent_at);

@view {p}users AS
SELECT u.id, u.directory_id, u.organization_id, u.idp_id, u.email, u.email_key, u.first_name, u.last_name, u.name,
    u.state, u.role, coalesce(@json(u.roles), '[]') AS roles,
    coalesce(@json(u.custom_attributes), @empty_object) AS custom_attributes,
    @time(u.created_at) AS created_at, @time(u.updated_at) AS updated_at,
    coalesce(u.state = 'active'
        AND coalesce(d.state, 'active') IN ('active', 'invalid_credentials', 'linked', 'validating'), false) AS has_access
FROM {p}mirror_user u
LEFT JOIN {p}mirror_directory d ON d.id = u.directory_id
WHERE u.organization_id IS NOT NULL
    AND u.deleted_at IS NULL AND u.evidence_at >= coalesce(u.absent_at, u.evidence_at)
    AND d.deleted_at IS NULL AND (d.absent_at IS NULL OR d.evidence_at >= d.absent_at)
UNION ALL
SELECT u.id, u.directory_id, d.organization_id, u.idp_id, u.email, u.email_key, u.first_name, u.last_name, u.name,
    u.state, u.role, coalesce(@json(u.roles), '[]') AS roles,
    coalesce(@json(u.custom_attributes), @empty_object) AS custom_attributes,
    @time(u.created_at) AS created_at, @time(u.updated_at) AS updated_at,
    coalesce(u.state = 'active'
        AND coalesce(d.state, 'active') IN ('active', 'invalid_credentials', 'linked', 'validating'), false) AS has_access
FROM {p}mirror_user u
LEFT JOIN {p}mirror_directory d ON d.id = u.directory_id
WHERE u.organization_id IS NULL
    AND u.deleted_at IS NULL AND u.evidence_at >= coalesce(u.absent_at, u.evidence_at)
    AND d.deleted_at IS NULL AND (d.absent_at IS NULL OR d.evidence_at >= d.absent_at);

@view {p}access AS
SELECT id AS user_id, directory_id, organization_id, idp_id, email, email_key FROM {p}users WHERE has_access;

@view {p}memberships AS
SELECT m.group_id, m.user_id, u.directory_id
FROM {p}mirror_member m
JOIN {p}mirror_user u ON u.id = m.user_id
JOIN {p}mirror_group g ON g.id = m.group_id
LEFT JOIN {p}mirror_directory d ON d.id = u.directory_id
LEFT JOIN {p}mirror_directory e ON e.id = g.directory_id
WHERE m.op_removed = 0 AND (m.absent_at IS NULL OR m.op_at >= m.absent_at)
    AND u.deleted_at IS NULL AND u.evidence_at >= coalesce(u.absent_at, u.evidence_at)
    AND g.deleted_at IS NULL AND g.evidence_at >= coalesce(g.absent_at, g.evidence_at)
    AND d.deleted_at IS NULL AND (d.absent_at IS NULL OR d.evidence_at >= d.absent_at)
    AND e.deleted_at IS NULL AND (e.absent_at IS NULL OR e.evidence_at >= e.absent_at);

-- Every user whose id was ever seen, deleted ones included: ids only.
@view {p}known_users AS
SELECT u.id, u.directory_id FROM {p}mirror_user u;
