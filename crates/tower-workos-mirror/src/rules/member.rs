//! The cells of a membership.

/// Joining or leaving a group, in the order that decides: the greatest one counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation {
    pub(crate) at: i64,
    /// If the times are equal, leaving wins.
    pub(crate) removed: bool,
    pub(crate) event: String,
}

/// What is known about the membership of a user in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) operation: Option<Operation>,
    pub(crate) absent_at: Option<i64>,
}

impl Member {
    pub(crate) fn merge(&mut self, other: Self) {
        self.operation = self.operation.take().max(other.operation);
        self.absent_at = self.absent_at.max(other.absent_at);
    }

    /// Applies a complete list of the group's members: it lacked the user if the user did not join later.
    pub(crate) fn compare_with_list(&mut self, listed_at: Option<i64>) {
        let Some(operation) = &self.operation else { return };
        if !operation.removed && Some(operation.at) < listed_at {
            self.absent_at = self.absent_at.max(listed_at);
        }
    }

    /// Whether the user is a member, regardless of whether the user and the group exist.
    pub(crate) fn is_joined(&self) -> bool {
        self.operation.as_ref().is_some_and(|operation| {
            !operation.removed && self.absent_at.is_none_or(|absent| operation.at >= absent)
        })
    }
}
