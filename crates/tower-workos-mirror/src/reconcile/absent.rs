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

/// Two group ids: the first group of a range is excluded, the last one included.
pub(super) type Range<'r> = (&'r str, &'r str);

impl Absent<'_> {
    /// Groups or users of the directory that exist according to the tables, but were not listed, although nothing shows that
    /// they are newer than the fence: the next ones after this id.
    pub(super) async fn objects(
        &self,
        conn: &mut Conn<'_>,
        kind: ObjectKind,
        after: &str,
        limit: i64,
    ) -> Result<Vec<String>, sqlx::Error> {
        let sql = self.names.sql(&format!(
            "SELECT t.id FROM {} t WHERE t.directory_id = $1 AND t.id > $3 AND {} ORDER BY t.id LIMIT $4",
            table(kind),
            unlisted(kind),
        ));
        let arguments = [self.directory.into(), self.fence.into(), after.into(), limit.into()];
        let rows = conn.rows(sql, &arguments, &[Text]).await?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next()?.into_text()).collect())
    }

    /// Whether the second list contained something that the first one lacked, although it is not new.
    pub(super) async fn is_listed_again(
        &self,
        conn: &mut Conn<'_>,
        kind: ObjectKind,
    ) -> Result<bool, sqlx::Error> {
        let again = if kind == ObjectKind::Group { Kind::GroupAgain } else { Kind::UserAgain };
        let sql = self.names.sql(&format!(
            "SELECT t.id FROM {{p}}mirror_stage a JOIN {} t ON t.id = a.id WHERE a.directory_id = $1 AND a.kind = '{}' \
             AND t.directory_id = $1 AND {} LIMIT 1",
            table(kind),
            again.name(),
            unlisted(kind),
        ));
        let rows = conn.rows(sql, &[self.directory.into(), self.fence.into()], &[Text]).await?;
        Ok(!rows.is_empty())
    }

    /// How many groups or users of the directory there are, according to the tables and the lists. It does not matter whether
    /// the lists have already been merged.
    pub(super) async fn all(
        &self,
        conn: &mut Conn<'_>,
        kind: ObjectKind,
    ) -> Result<i64, sqlx::Error> {
        let present = "t.directory_id = $1 AND t.deleted_at IS NULL \
                       AND t.evidence_at >= coalesce(t.absent_at, t.evidence_at)";
        let table = table(kind);
        let sql = self.names.sql(&format!(
            "SELECT (SELECT count(*) FROM {table} t WHERE {present}) + (SELECT count(*) FROM {{p}}mirror_stage s \
             WHERE s.directory_id = $1 AND s.kind = '{}' \
             AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.id = s.id AND {present}))",
            listed(kind).name(),
        ));
        number(conn.rows(sql, &[self.directory.into()], &[Int]).await?)
    }

    /// Memberships in the groups of this range whose members were listed, if the list lacked the user: the next ones after
    /// this one.
    pub(super) async fn members(
        &self,
        conn: &mut Conn<'_>,
        (start, end): Range<'_>,
        after: &MemberKey,
        limit: i64,
    ) -> Result<Vec<MemberKey>, sqlx::Error> {
        let sql = self.names.sql(&format!(
            "SELECT m.group_id, m.user_id {MEMBERS} AND m.group_id > $3 AND m.group_id <= $4 \
             AND (m.group_id, m.user_id) > ($5, $6) AND {UNLISTED_MEMBER} ORDER BY m.group_id, m.user_id LIMIT $7"
        ));
        let arguments = [
            self.directory.into(),
            self.fence.into(),
            start.into(),
            end.into(),
            after.0.as_str().into(),
            after.1.as_str().into(),
            limit.into(),
        ];
        let rows = conn.rows(sql, &arguments, &[Text, Text]).await?;
        let key = |row: Vec<Value>| {
            let mut values = row.into_iter().map(Value::into_text);
            Some((values.next()??, values.next()??))
        };
        Ok(rows.into_iter().filter_map(key).collect())
    }

    /// How many memberships would be removed. Those of users who were not listed don't count: they disappear with their users.
    pub(super) async fn count_members(&self, conn: &mut Conn<'_>) -> Result<i64, sqlx::Error> {
        let sql = format!("SELECT count(*) {MEMBERS} AND {LISTED_USER} AND {UNLISTED_MEMBER}");
        let arguments = [self.directory.into(), self.fence.into()];
        number(conn.rows(self.names.sql(&sql), &arguments, &[Int]).await?)
    }

    /// The groups whose lists lack more than this many members.
    pub(super) async fn shrunken(
        &self,
        conn: &mut Conn<'_>,
        floor: i64,
    ) -> Result<Vec<String>, sqlx::Error> {
        let sql = self.names.sql(&format!(
            "SELECT m.group_id {MEMBERS} AND {LISTED_USER} AND {UNLISTED_MEMBER} \
             GROUP BY m.group_id HAVING count(*) > $3 ORDER BY m.group_id"
        ));
        let arguments = [self.directory.into(), self.fence.into(), floor.into()];
        let rows = conn.rows(sql, &arguments, &[Text]).await?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next()?.into_text()).collect())
    }

    /// Whether a second list of members contained one whom the first one lacked.
    pub(super) async fn is_member_again(&self, conn: &mut Conn<'_>) -> Result<bool, sqlx::Error> {
        let sql = self.names.sql(&format!(
            "SELECT m.group_id {MEMBERS} AND {UNLISTED_MEMBER} AND EXISTS (SELECT 1 FROM {{p}}mirror_stage a \
             WHERE a.directory_id = $1 AND a.kind = 'member again' AND a.id = m.group_id AND a.user_id = m.user_id) \
             LIMIT 1"
        ));
        let rows = conn.rows(sql, &[self.directory.into(), self.fence.into()], &[Text]).await?;
        Ok(!rows.is_empty())
    }

    /// How many memberships of listed users there are in these groups, according to the tables and the lists.
    pub(super) async fn all_members(&self, conn: &mut Conn<'_>) -> Result<i64, sqlx::Error> {
        let sql = format!(
            "SELECT (SELECT count(*) {MEMBERS} AND {LISTED_USER}) + (SELECT count(*) FROM {{p}}mirror_stage s \
             WHERE s.directory_id = $1 AND s.kind = 'member' AND NOT EXISTS (SELECT 1 FROM {{p}}mirror_member m \
             WHERE m.group_id = s.id AND m.user_id = s.user_id AND {JOINED}))"
        );
        number(conn.rows(self.names.sql(&sql), &[self.directory.into()], &[Int]).await?)
    }
}

/// Memberships in groups whose members were listed.
const MEMBERS: &str = "FROM {p}mirror_stage w JOIN {p}mirror_member m ON m.group_id = w.id \
    WHERE w.directory_id = $1 AND w.kind = 'walked' AND m.op_removed = 0 \
    AND (m.absent_at IS NULL OR m.op_at >= m.absent_at)";
const JOINED: &str = "m.op_removed = 0 AND (m.absent_at IS NULL OR m.op_at >= m.absent_at)";
const LISTED_USER: &str = "EXISTS (SELECT 1 FROM {p}mirror_stage u WHERE u.directory_id = $1 AND u.kind = 'user' \
    AND u.id = m.user_id AND u.user_id = '')";
const UNLISTED_MEMBER: &str = "m.op_at < $2 AND NOT EXISTS (SELECT 1 FROM {p}mirror_stage s \
    WHERE s.directory_id = $1 AND s.kind = 'member' AND s.id = m.group_id AND s.user_id = m.user_id)";

/// Selects groups or users that exist, but were not listed, although nothing shows that they are newer than the fence.
fn unlisted(kind: ObjectKind) -> String {
    format!(
        "t.deleted_at IS NULL AND t.evidence_at < $2 AND (t.absent_at IS NULL OR t.evidence_at >= t.absent_at) \
         AND NOT EXISTS (SELECT 1 FROM {{p}}mirror_stage s \
         WHERE s.directory_id = $1 AND s.kind = '{}' AND s.id = t.id)",
        listed(kind).name()
    )
}

fn listed(kind: ObjectKind) -> Kind {
    if kind == ObjectKind::Group { Kind::Group } else { Kind::User }
}

fn table(kind: ObjectKind) -> String {
    format!("{{p}}{}", Table::Object(kind).name())
}

fn number(rows: Vec<Vec<Value>>) -> Result<i64, sqlx::Error> {
    Ok(rows.first().and_then(|row| row.first()?.as_int()).unwrap_or(0))
}
