//! Directories, groups, memberships and users as an application would store them.

use std::fmt;

use serde::{Deserialize, Serialize};
use tower_workos::{
    CustomAttributes, Directory, DirectoryGroup, DirectoryUser, DirectoryUserState, Timestamp,
};

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$id_doc:meta])* $id:ident,)+;
        $($(#[$field_doc:meta])* $field:ident $(= $key:literal)?: $type:ty,)*
    })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$id_doc])* pub $id: String,)+
            $(
                $(#[$field_doc])*
                #[serde(default $(, rename = $key)?)]
                pub $field: Option<$type>,
            )*
        }

        /// Shows ids only, because the rest is about people.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($id), &self.$id))+
                    .finish_non_exhaustive()
            }
        }
    )+};
}

records! {
    /// A directory.
    DirectoryRecord {
        /// The id.
        id,;
        /// The organization that it belongs to.
        organization_id: String,
        /// The name.
        name: String,
        /// The provider; `type` in JSON.
        directory_type = "type": String,
        /// The state.
        state: String,
        /// The time of the last change.
        updated_at: Timestamp,
    }

    /// A group.
    GroupRecord {
        /// The id.
        id,;
        /// The directory that it belongs to.
        directory_id: String,
        /// The id at the provider.
        idp_id: String,
        /// The name.
        name: String,
        /// The time of the last change.
        updated_at: Timestamp,
    }

    /// A membership of a user in a group.
    MembershipRecord {
        /// The group.
        group_id,
        /// The user.
        user_id,;
    }

    /// A user.
    UserRecord {
        /// The id.
        id,;
        /// The directory that the user belongs to.
        directory_id: String,
        /// The id at the provider.
        idp_id: String,
        /// The e-mail address.
        email: String,
        /// The given name.
        first_name: String,
        /// The family name.
        last_name: String,
        /// The full name.
        name: String,
        /// The state.
        state: String,
        /// The role's slug.
        role: String,
        /// The custom attribute `job_title`.
        job_title: String,
        /// The custom attribute `department_name`.
        department_name: String,
        /// The time of the last change.
        updated_at: Timestamp,
    }
}

impl UserRecord {
    /// Returns whether the state is `active`, which is the only one that grants access.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state.as_deref() == Some(DirectoryUserState::Active.as_str())
    }
}

impl From<&Directory> for DirectoryRecord {
    fn from(directory: &Directory) -> Self {
        Self {
            id: directory.id.to_string(),
            organization_id: text(directory.organization_id.as_ref()),
            name: directory.name.clone(),
            directory_type: text(directory.directory_type.as_ref()),
            state: text(directory.state.as_ref()),
            updated_at: directory.updated_at,
        }
    }
}

impl From<&DirectoryGroup> for GroupRecord {
    fn from(group: &DirectoryGroup) -> Self {
        Self {
            id: group.id.to_string(),
            directory_id: text(group.directory_id.as_ref()),
            idp_id: group.idp_id.clone(),
            name: group.name.clone(),
            updated_at: group.updated_at,
        }
    }
}

impl From<&DirectoryUser> for UserRecord {
    fn from(user: &DirectoryUser) -> Self {
        let CustomTexts { job_title, department_name } = custom_texts(&user.custom_attributes);
        Self {
            id: user.id.to_string(),
            directory_id: text(user.directory_id.as_ref()),
            idp_id: user.idp_id.clone(),
            email: user.email.clone(),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            name: user.name.clone(),
            state: text(user.state.as_ref()),
            role: user.role.as_ref().map(|role| role.slug.clone()),
            job_title,
            department_name,
            updated_at: user.updated_at,
        }
    }
}

struct CustomTexts {
    job_title: Option<String>,
    department_name: Option<String>,
}

fn custom_texts(attributes: &CustomAttributes) -> CustomTexts {
    CustomTexts {
        job_title: attributes.job_title().map(Into::into),
        department_name: attributes.department_name().map(Into::into),
    }
}

fn text(value: Option<&impl ToString>) -> Option<String> {
    value.map(ToString::to_string)
}
