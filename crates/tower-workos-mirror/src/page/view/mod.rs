use maud::{Markup, html};
use tower_workos::Timestamp;

use crate::{
    change::Change,
    page::facts::{
        ChangeList, DirectoryFacts, GroupFacts, GroupList, Labels, Overview, UserFacts, UserList,
    },
};

pub(in crate::page) struct Shell {
    pub(in crate::page) style: String,
    pub(in crate::page) script: String,
    pub(in crate::page) title: String,
    pub(in crate::page) seq: i64,
    pub(in crate::page) now: Timestamp,
}
pub(in crate::page) fn overview(_: &Shell, _: &Overview) -> Markup {
    html!()
}
pub(in crate::page) fn directory(_: &Shell, _: &DirectoryFacts) -> Markup {
    html!()
}
pub(in crate::page) fn users(_: &Shell, _: &UserList) -> Markup {
    html!()
}
pub(in crate::page) fn user(_: &Shell, _: &UserFacts) -> Markup {
    html!()
}
pub(in crate::page) fn groups(_: &Shell, _: &GroupList) -> Markup {
    html!()
}
pub(in crate::page) fn group(_: &Shell, _: &GroupFacts) -> Markup {
    html!()
}
pub(in crate::page) fn changes(_: &Shell, _: &ChangeList) -> Markup {
    html!()
}
pub(in crate::page) fn change_row(_: &Change, _: &Labels) -> Markup {
    html!()
}
pub(in crate::page) fn message(_: &Shell, _: &str, _: &str) -> Markup {
    html!()
}
