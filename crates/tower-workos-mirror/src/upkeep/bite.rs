//! The parts of the upkeep.

use crate::{
    rules::document::ObjectKind,
    sql::{
        conn::Conn,
        names::Names,
        table::Table,
        value::{
            Kind::{Int, Text},
            Value,
        },
    },
    upkeep::Upkeep,
};

/// The maximum number of rows of a table that a transaction removes.
const BITE: i64 = 500;

#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    Bury(ObjectKind),
    PurgeChanges,
    PurgeDeadLetters,
    PurgeEvents,
    SweepDirectory,
    SweepGroups,
    SweepUsers,
}

/// One of many small transactions.
pub(super) struct Bite<'a> {
    pub(super) names: &'a Names,
    pub(super) now: i64,
    /// Older rows are purged.
    pub(super) kept_since: i64,
    pub(super) dead_letters_kept_since: i64,
    /// What has been absent since an earlier time counts as deleted.
    pub(super) absences_kept_since: i64,
}

/// In place of the event of a deletion: the API lacked the object.
pub(crate) const DELETED_BY: &str = "absent";
/// Selects deleted objects whose traces still have to be removed. There is an index of them.
const UNSWEPT: &str = "deleted_at IS NOT NULL AND swept_at IS NULL";
/// Selects absent objects. Their index contains little else, because evidence that is later than an absence removes it.
const ABSENT: &str =
    "absent_at IS NOT NULL AND deleted_at IS NULL AND coalesce(evidence_at < absent_at, true)";
const PURGED: &str = "coalesce((SELECT after FROM {p}mirror_cursor WHERE stream = 'purged'), 0)";

impl Bite<'_> {
    /// Returns the next task. Each part of the query reads at most one row, through an index. If the query itself compared
    /// values, PostgreSQL could plan to scan the table for a matching row, although there is usually none.
    pub(super) async fn find(&self, conn: &mut Conn<'_>) -> Result<Option<Task>, sqlx::Error> {
        let unswept = |table| format!("(SELECT min(id) FROM {{p}}{table} WHERE {UNSWEPT})");
        let absent = |table| {
            format!(
                "(SELECT absent_at FROM {{p}}{table} WHERE {ABSENT} ORDER BY absent_at LIMIT 1)"
            )
        };
        let sql = self.names.sql(&format!(
            "SELECT {}, {}, {}, {}, {}, {}, \
             (SELECT recorded_at FROM {{p}}mirror_change WHERE seq > {PURGED} ORDER BY seq LIMIT 1), \
             (SELECT min(arrived_at) FROM {{p}}mirror_applied), \
             (SELECT min(arrived_at) FROM {{p}}mirror_dead_letter)",
            absent("mirror_directory"),
            absent("mirror_group"),
            absent("mirror_user"),
            unswept("mirror_directory"),
            unswept("mirror_group"),
            unswept("mirror_user"),
        ));
        let kinds = [Int, Int, Int, Text, Text, Text, Int, Int, Int];
        let row = conn.rows(sql, &[], &kinds).await?.pop().unwrap_or_default();
        let tasks = [
            Task::Bury(ObjectKind::Directory),
            Task::Bury(ObjectKind::Group),
            Task::Bury(ObjectKind::User),
            Task::SweepDirectory,
            Task::SweepGroups,
            Task::SweepUsers,
            Task::PurgeChanges,
            Task::PurgeEvents,
            Task::PurgeDeadLetters,
        ];
        let is_due = |task, value: &Value| match task {
            Task::Bury(_) => value.as_int().is_some_and(|at| at < self.absences_kept_since),
            Task::SweepDirectory | Task::SweepGroups | Task::SweepUsers => {
                value.as_text().is_some()
            }
            Task::PurgeChanges | Task::PurgeEvents => {
                value.as_int().is_some_and(|oldest| oldest < self.kept_since)
            }
            Task::PurgeDeadLetters => {
                value.as_int().is_some_and(|oldest| oldest < self.dead_letters_kept_since)
            }
        };
        let mut values = tasks.into_iter().zip(row);
        Ok(values.find(|(task, value)| is_due(*task, value)).map(|(task, _)| task))
    }

    /// Does a task under the lock. Another process may have done it in the meantime.
    pub(super) async fn perform(
        &self,
        task: Task,
        conn: &mut Conn<'_>,
        done: &mut Upkeep,
    ) -> Result<(), sqlx::Error> {
        match task {
            Task::Bury(kind) => done.absences += self.bury(conn, kind).await?,
            Task::PurgeChanges => done.changes += self.purge_changes(conn).await?,
            Task::PurgeDeadLetters => {
                let since = self.dead_letters_kept_since;
                done.dead_letters +=
                    self.purge(conn, "{p}mirror_dead_letter", "seq", since).await?;
            }
            Task::PurgeEvents => {
                done.events +=
                    self.purge(conn, "{p}mirror_applied", "event_id", self.kept_since).await?;
            }
            Task::SweepDirectory => self.sweep_directory(conn, done).await?,
            Task::SweepGroups => done.memberships += self.sweep(conn, ObjectKind::Group).await?,
            Task::SweepUsers => done.memberships += self.sweep(conn, ObjectKind::User).await?,
        }
        Ok(())
    }

    /// Replaces absences by deletions. They were reported as deletions when the API lacked the objects.
    async fn bury(&self, conn: &mut Conn<'_>, kind: ObjectKind) -> Result<u64, sqlx::Error> {
        let table = self.names.table(Table::Object(kind));
        let erased = erased(kind);
        let sql = format!(
            "UPDATE {table} SET deleted_at = absent_at, deleted_by = '{DELETED_BY}', {erased} WHERE id IN \
             (SELECT id FROM {table} WHERE {ABSENT} AND absent_at < $1 ORDER BY absent_at LIMIT {BITE})"
        );
        conn.execute(sql, &[self.absences_kept_since.into()]).await
    }

    async fn purge(
        &self,
        conn: &mut Conn<'_>,
        table: &str,
        key: &str,
        kept_since: i64,
    ) -> Result<u64, sqlx::Error> {
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN \
             (SELECT {key} FROM {table} WHERE arrived_at < $1 ORDER BY arrived_at LIMIT $2)"
        );
        conn.execute(self.names.sql(&sql), &[kept_since.into(), BITE.into()]).await
    }

    /// Purges the start of the feed up to the first change that must be kept, even if a later one seems older because of a
    /// wrong clock.
    async fn purge_changes(&self, conn: &mut Conn<'_>) -> Result<u64, sqlx::Error> {
        let sql = format!(
            "SELECT seq, recorded_at FROM {{p}}mirror_change WHERE seq > {PURGED} ORDER BY seq LIMIT $1"
        );
        let rows = conn.rows(self.names.sql(&sql), &[BITE.into()], &[Int, Int]).await?;
        let is_old = |row: &&Vec<Value>| {
            row.get(1).and_then(Value::as_int).is_some_and(|at| at < self.kept_since)
        };
        let old = rows.iter().take_while(is_old).last();
        let Some(last) = old.and_then(|row| row.first()?.as_int()) else { return Ok(0) };
        let sql = self.names.sql(
            "INSERT INTO {p}mirror_cursor AS c (stream, after, moved_at) VALUES ('purged', $1, $2) \
             ON CONFLICT (stream) DO UPDATE SET (after, moved_at) = (excluded.after, excluded.moved_at) \
             WHERE c.after < excluded.after",
        );
        conn.execute(sql, &[last.into(), self.now.into()]).await?;
        let sql = self.names.sql("DELETE FROM {p}mirror_change WHERE seq <= $1");
        conn.execute(sql, &[last.into()]).await
    }

    /// Removes memberships of deleted groups or users. Their documents were erased when they were deleted.
    async fn sweep(&self, conn: &mut Conn<'_>, kind: ObjectKind) -> Result<u64, sqlx::Error> {
        let table = self.names.table(Table::Object(kind));
        let unswept = format!("SELECT id FROM {table} WHERE {UNSWEPT} ORDER BY id LIMIT {BITE}");
        let removed = self.remove_members(conn, kind, &unswept, &[]).await?;
        if is_last(removed) {
            let sql = format!("UPDATE {table} SET swept_at = $1 WHERE id IN ({unswept})");
            conn.execute(sql, &[self.now.into()]).await?;
        }
        Ok(removed)
    }

    /// Removes memberships of the groups or users that this query selects.
    async fn remove_members(
        &self,
        conn: &mut Conn<'_>,
        kind: ObjectKind,
        ids: &str,
        arguments: &[Value],
    ) -> Result<u64, sqlx::Error> {
        let column = if kind == ObjectKind::Group { "group_id" } else { "user_id" };
        let table = self.names.table(Table::Member);
        let sql = format!(
            "DELETE FROM {table} WHERE (group_id, user_id) IN \
             (SELECT group_id, user_id FROM {table} WHERE {column} IN ({ids}) LIMIT {BITE})"
        );
        conn.execute(sql, arguments).await
    }

    /// Erases some groups or users of a deleted directory, and removes their memberships. The column `sweep` is the kind
    /// and the id of the last one. Later events about them can't bring anything back.
    async fn sweep_directory(
        &self,
        conn: &mut Conn<'_>,
        done: &mut Upkeep,
    ) -> Result<(), sqlx::Error> {
        let directories = self.names.table(Table::Object(ObjectKind::Directory));
        let sql =
            format!("SELECT id, sweep FROM {directories} WHERE {UNSWEPT} ORDER BY id LIMIT 1");
        let row = conn.rows(sql, &[], &[Text, Text]).await?.pop().unwrap_or_default();
        let mut row = row.into_iter().map(Value::into_text);
        let (Some(directory), sweep) = (row.next().flatten(), row.next().flatten()) else {
            return Ok(());
        };
        let sweep = sweep.unwrap_or_else(|| "group ".to_owned());
        let (name, after) = sweep.split_once(' ').unwrap_or_default();
        let kind = if name == "group" { ObjectKind::Group } else { ObjectKind::User };
        let table = self.names.table(Table::Object(kind));

        let sql = format!(
            "SELECT max(id) FROM (SELECT id FROM {table} WHERE directory_id = $1 AND id > $2 \
             ORDER BY id LIMIT {BITE}) i"
        );
        let arguments = [directory.clone().into(), after.into()];
        let last = conn.rows(sql, &arguments, &[Text]).await?.pop().unwrap_or_default();
        let last = last.into_iter().next().and_then(Value::into_text);
        let next = match last {
            Some(last) => {
                let chunk = "directory_id = $1 AND id > $2 AND id <= $3";
                let arguments = [directory.clone().into(), after.into(), last.clone().into()];
                let erased = conn.execute(erase(&table, kind, chunk), &arguments).await?;
                let total = match kind {
                    ObjectKind::Group => &mut done.erased_groups,
                    _ => &mut done.erased_users,
                };
                *total += erased;
                let ids = format!("SELECT id FROM {table} WHERE {chunk}");
                let removed = self.remove_members(conn, kind, &ids, &arguments).await?;
                done.memberships += removed;
                is_last(removed).then(|| format!("{name} {last}"))
            }
            None if kind == ObjectKind::Group => Some("user ".to_owned()),
            None => {
                let sql =
                    format!("UPDATE {directories} SET swept_at = $1, sweep = NULL WHERE id = $2");
                conn.execute(sql, &[self.now.into(), directory.clone().into()]).await?;
                None
            }
        };
        if let Some(next) = next {
            let sql = format!("UPDATE {directories} SET sweep = $1 WHERE id = $2");
            conn.execute(sql, &[next.into(), directory.into()]).await?;
        }
        Ok(())
    }
}

/// Whether no memberships are left: a transaction found fewer than it may remove.
fn is_last(removed: u64) -> bool {
    i64::try_from(removed).is_ok_and(|removed| removed < BITE)
}

/// Erases everything except the ids and the deletion.
fn erase(table: &str, kind: ObjectKind, condition: &str) -> String {
    let erased = erased(kind);
    format!(
        "UPDATE {table} SET {erased} WHERE {condition} \
         AND coalesce(ev_at, list_at, evidence_at, absent_at) IS NOT NULL"
    )
}

/// Assignments that erase everything except the ids and the deletion.
fn erased(kind: ObjectKind) -> String {
    let kept = ["id", "directory_id", "deleted_at", "deleted_by"];
    let columns = Table::Object(kind).columns().into_iter().map(|(name, _)| name);
    let erased: Vec<_> =
        columns.filter(|name| !kept.contains(name)).map(|name| format!("{name} = NULL")).collect();
    erased.join(", ")
}
