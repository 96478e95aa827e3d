//! What is in the tables, but was not in the lists.

use crate::{
    reconcile::stage::Kind,
    rules::{batch::MemberKey, document::ObjectKind},
    sql::{
        conn::Conn,
        names::Names,
        table::Table,
        value::{
            Kind::{Int, Text},
            Value,
        },
    },
};

/// Looks for rows of a directory that should be in the lists that were read since the fence.
pub(super) struct Absent<'a> {
    pub(super) names: &'a Names,
    pub(super) directory: &'a str,
    pub(super) fence: i64,
}

/// The group and the user of a membership.
pub(super) type Range<'r> = (&'r str, &'r str);

impl Absent<'_> {
    /// Groups or users of the directory that exist according to the tables, but were not listed, although nothing shows that
    /// they are newer than the fence.
    pub(super) async fn objects(
        &self,
        conn: &mut Conn<'_>,
        kind: ObjectKind,
        limit: i64,
    ) -> Result<Vec<String>, sqlx::Error> {
        let (listed, again) = match kind {
            ObjectKind::Group => (Kind::Group, Kind::GroupAgain),
            _ => (Kind::User, Kind::UserAgain),
        };
        let sql = self.names.sql(&format!(
            "SELECT t.id FROM {} t WHERE t.directory_id = $1 AND t.deleted_at IS NULL AND t.evidence_at < $2 \
             AND (t.absent_at IS NULL OR t.evidence_at >= t.absent_at) \
             AND NOT EXISTS (SELECT 1 FROM {{p}}mirror_stage s \
             WHERE s.directory_id = $1 AND s.kind IN ('{}', '{}') AND s.id = t.id) ORDER BY t.id LIMIT $3",
            table(kind),
            listed.name(),
            again.name(),
        ));
        let arguments = [self.directory.into(), self.fence.into(), limit.into()];
        let rows = conn.rows(sql, &arguments, &[Text]).await?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next()?.into_text()).collect())
    }

    /// How many groups or users of the directory there are according to the tables.
    pub(super) async fn count(
        &self,
        conn: &mut Conn<'_>,
        kind: ObjectKind,
    ) -> Result<i64, sqlx::Error> {
        let sql = self.names.sql(&format!(
            "SELECT count(*) FROM {} t WHERE t.directory_id = $1 AND t.deleted_at IS NULL \
             AND t.evidence_at >= coalesce(t.absent_at, t.evidence_at)",
            table(kind)
        ));
        number(conn.rows(sql, &[self.directory.into()], &[Int]).await?)
    }

    /// Memberships in the groups of this range whose members were listed, if the list lacked the user. The first group is
    /// excluded, the last one included.
    pub(super) async fn members(
        &self,
        conn: &mut Conn<'_>,
        (after, until): Range<'_>,
        limit: i64,
    ) -> Result<Vec<MemberKey>, sqlx::Error> {
        let sql = self.names.sql(&format!(
            "SELECT m.group_id, m.user_id {MEMBERS} AND m.group_id > $2 AND m.group_id <= $3 AND m.op_at < $4 \
             AND NOT EXISTS (SELECT 1 FROM {{p}}mirror_stage s WHERE s.directory_id = $1 AND s.kind = 'member' \
             AND s.id = m.group_id AND s.user_id = m.user_id) ORDER BY m.group_id, m.user_id LIMIT $5"
        ));
        let arguments =
            [self.directory.into(), after.into(), until.into(), self.fence.into(), limit.into()];
        let rows = conn.rows(sql, &arguments, &[Text, Text]).await?;
        let key = |row: Vec<Value>| {
            let mut values = row.into_iter().map(Value::into_text);
            Some((values.next()??, values.next()??))
        };
        Ok(rows.into_iter().filter_map(key).collect())
    }

    /// Of the memberships that would be removed, and of all, those of users who were listed: the others disappear with their
    /// users.
    pub(super) async fn count_members(
        &self,
        conn: &mut Conn<'_>,
    ) -> Result<(i64, i64), sqlx::Error> {
        let listed = "EXISTS (SELECT 1 FROM {p}mirror_stage u WHERE u.directory_id = $1 AND u.kind = 'user' \
                      AND u.id = m.user_id AND u.user_id = '')";
        let all = format!("SELECT count(*) {MEMBERS} AND {listed}");
        let absent = format!(
            "{all} AND m.op_at < $2 AND NOT EXISTS (SELECT 1 FROM {{p}}mirror_stage s \
             WHERE s.directory_id = $1 AND s.kind = 'member' AND s.id = m.group_id AND s.user_id = m.user_id)"
        );
        let arguments = [self.directory.into(), self.fence.into()];
        let absent = conn.rows(self.names.sql(&absent), &arguments, &[Int]).await?;
        let all = conn.rows(self.names.sql(&all), &[self.directory.into()], &[Int]).await?;
        Ok((number(absent)?, number(all)?))
    }
}

/// Memberships in groups whose members were listed.
const MEMBERS: &str = "FROM {p}mirror_stage w JOIN {p}mirror_member m ON m.group_id = w.id \
    WHERE w.directory_id = $1 AND w.kind = 'walked' AND m.op_removed = 0 \
    AND (m.absent_at IS NULL OR m.op_at >= m.absent_at)";

fn table(kind: ObjectKind) -> String {
    format!("{{p}}{}", Table::Object(kind).name())
}

fn number(rows: Vec<Vec<Value>>) -> Result<i64, sqlx::Error> {
    Ok(rows.first().and_then(|row| row.first()?.as_int()).unwrap_or(0))
}
