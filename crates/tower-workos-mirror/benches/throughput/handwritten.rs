//! The handler that an experienced developer writes by hand if it must also be correct when deliveries arrive late or
//! twice: one transaction for each event, and single-row upserts that compare versions.

/// The tables, on either database.
pub(crate) const TABLES: &str = "\
CREATE TABLE hand_directories (id text PRIMARY KEY, organization_id text, name text, state text,
    updated_at text, at text, deleted bigint NOT NULL DEFAULT 0);
CREATE TABLE hand_groups (id text PRIMARY KEY, directory_id text, name text, updated_at text, at text,
    deleted bigint NOT NULL DEFAULT 0);
CREATE INDEX hand_groups_directory ON hand_groups (directory_id, id);
CREATE TABLE hand_users (id text PRIMARY KEY, directory_id text, organization_id text, idp_id text, email text,
    first_name text, last_name text, name text, state text, role text, custom_attributes text, updated_at text, at text,
    deleted bigint NOT NULL DEFAULT 0);
CREATE INDEX hand_users_directory ON hand_users (directory_id, id);
CREATE INDEX hand_users_organization ON hand_users (organization_id, id);
CREATE INDEX hand_users_email ON hand_users (email, id);
CREATE INDEX hand_users_idp ON hand_users (idp_id, id);
CREATE TABLE hand_members (group_id text, user_id text, at text, removed bigint NOT NULL, PRIMARY KEY (group_id, user_id));
CREATE INDEX hand_members_user ON hand_members (user_id, group_id);
";

macro_rules! handwritten {
    ($name:ident, $database:ty) => {
        pub(crate) mod $name {
            use sqlx::{Error, Pool, Transaction};
            use tower_workos::{
                Directory, DirectoryEvent, DirectoryGroup, DirectoryUser, EventData, GroupMembership, Timestamp,
            };

            type Tx<'a> = Transaction<'a, $database>;

            pub(crate) async fn handle(
                pool: &Pool<$database>,
                begin: &'static str,
                event: &DirectoryEvent,
            ) -> Result<(), Error> {
                let mut tx = pool.begin_with(begin).await?;
                let at = event.created_at().unwrap_or(Timestamp::UNIX_EPOCH).to_string();
                match event.data() {
                    EventData::DirectoryActivated(it) => directory(&mut tx, it, &at).await?,
                    EventData::DirectoryDeleted(it) => {
                        end(&mut tx, "INSERT INTO hand_directories (id, deleted) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET deleted = 1", it.id.as_str()).await?;
                    }
                    EventData::GroupCreated(it) => group(&mut tx, it, &at).await?,
                    EventData::GroupUpdated(it) => group(&mut tx, &it.group, &at).await?,
                    EventData::GroupDeleted(it) => {
                        end(&mut tx, "INSERT INTO hand_groups (id, deleted) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET deleted = 1", it.id.as_str()).await?;
                    }
                    EventData::UserCreated(it) => user(&mut tx, it, &at).await?,
                    EventData::UserUpdated(it) => user(&mut tx, &it.user, &at).await?,
                    EventData::UserDeleted(it) => {
                        end(&mut tx, "INSERT INTO hand_users (id, deleted) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET deleted = 1", it.id.as_str()).await?;
                    }
                    EventData::GroupUserAdded(it) => membership(&mut tx, it, &at, 0).await?,
                    EventData::GroupUserRemoved(it) => membership(&mut tx, it, &at, 1).await?,
                    _ => {}
                }
                tx.commit().await
            }

            async fn end(tx: &mut Tx<'_>, sql: &'static str, id: &str) -> Result<(), Error> {
                sqlx::query(sql).bind(id).execute(&mut **tx).await.map(drop)
            }

            async fn directory(tx: &mut Tx<'_>, it: &Directory, at: &str) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO hand_directories (id, organization_id, name, state, updated_at, at) VALUES ($1, $2, $3, $4, $5, $6) \
                     ON CONFLICT (id) DO UPDATE SET organization_id = excluded.organization_id, name = excluded.name, \
                     state = excluded.state, updated_at = excluded.updated_at, at = excluded.at \
                     WHERE hand_directories.at IS NULL OR (excluded.updated_at, excluded.at) > (hand_directories.updated_at, hand_directories.at)",
                )
                .bind(it.id.as_str())
                .bind(it.organization_id.as_ref().map(|id| id.to_string()))
                .bind(it.name.clone())
                .bind(it.state.as_ref().map(|state| state.to_string()))
                .bind(it.updated_at.map(|time| time.to_string()))
                .bind(at)
                .execute(&mut **tx)
                .await
                .map(drop)
            }

            async fn group(tx: &mut Tx<'_>, it: &DirectoryGroup, at: &str) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO hand_groups (id, directory_id, name, updated_at, at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (id) DO UPDATE SET directory_id = excluded.directory_id, name = excluded.name, \
                     updated_at = excluded.updated_at, at = excluded.at \
                     WHERE hand_groups.at IS NULL OR (excluded.updated_at, excluded.at) > (hand_groups.updated_at, hand_groups.at)",
                )
                .bind(it.id.as_str())
                .bind(it.directory_id.as_ref().map(|id| id.to_string()))
                .bind(it.name.clone())
                .bind(it.updated_at.map(|time| time.to_string()))
                .bind(at)
                .execute(&mut **tx)
                .await
                .map(drop)
            }

            async fn user(tx: &mut Tx<'_>, it: &DirectoryUser, at: &str) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO hand_users (id, directory_id, organization_id, idp_id, email, first_name, last_name, name, state, role, custom_attributes, updated_at, at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                     ON CONFLICT (id) DO UPDATE SET directory_id = excluded.directory_id, organization_id = excluded.organization_id, \
                     idp_id = excluded.idp_id, email = excluded.email, first_name = excluded.first_name, last_name = excluded.last_name, \
                     name = excluded.name, state = excluded.state, role = excluded.role, custom_attributes = excluded.custom_attributes, \
                     updated_at = excluded.updated_at, at = excluded.at \
                     WHERE hand_users.at IS NULL OR (excluded.updated_at, excluded.at) > (hand_users.updated_at, hand_users.at)",
                )
                .bind(it.id.as_str())
                .bind(it.directory_id.as_ref().map(|id| id.to_string()))
                .bind(it.organization_id.as_ref().map(|id| id.to_string()))
                .bind(it.idp_id.clone())
                .bind(it.email.clone())
                .bind(it.first_name.clone())
                .bind(it.last_name.clone())
                .bind(it.name.clone())
                .bind(it.state.as_ref().map(|state| state.to_string()))
                .bind(it.role.as_ref().map(|role| role.slug.clone()))
                .bind(it.custom_attributes.raw().to_owned())
                .bind(it.updated_at.map(|time| time.to_string()))
                .bind(at)
                .execute(&mut **tx)
                .await
                .map(drop)
            }

            async fn membership(
                tx: &mut Tx<'_>,
                it: &GroupMembership,
                at: &str,
                removed: i64,
            ) -> Result<(), Error> {
                user(tx, &it.user, at).await?;
                group(tx, &it.group, at).await?;
                sqlx::query(
                    "INSERT INTO hand_members (group_id, user_id, at, removed) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (group_id, user_id) DO UPDATE SET at = excluded.at, removed = excluded.removed \
                     WHERE (excluded.at, excluded.removed) > (hand_members.at, hand_members.removed)",
                )
                .bind(it.group.id.as_str())
                .bind(it.user.id.as_str())
                .bind(at)
                .bind(removed)
                .execute(&mut **tx)
                .await
                .map(drop)
            }
        }
    };
}

handwritten!(postgres, sqlx::Postgres);
handwritten!(sqlite, sqlx::Sqlite);
