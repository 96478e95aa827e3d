//! Directories.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::{
    id::{DirectoryId, OrganizationDomainId, OrganizationId},
    object::json_object,
    text::{not_empty, null_is_default, text_enum},
    timestamp::Timestamp,
};

/// A customer's directory: the connection to their Okta, Entra ID, Workday or another provider.
///
/// Source: the WorkOS API reference, "Directory", and the `dsync.activated` event.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct Directory {
    /// The directory's id.
    #[serde(deserialize_with = "not_empty")]
    pub id: DirectoryId,
    /// The organization that the directory belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The provider that the directory is connected to; `type` in JSON.
    #[serde(rename = "type")]
    pub directory_type: Option<DirectoryType>,
    /// The directory's state; in `dsync.deleted`, the one before the deletion.
    pub state: Option<DirectoryState>,
    /// The name that was chosen when the directory was set up.
    pub name: Option<String>,
    /// The key in the URL to which the provider's connector sends. Absent in `dsync.deleted`.
    pub external_key: Option<String>,
    /// The organization's domains. Empty in `dsync.deleted`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub domains: Vec<OrganizationDomain>,
    /// When the directory was created.
    pub created_at: Option<Timestamp>,
    /// When the directory last changed.
    pub updated_at: Option<Timestamp>,
}

json_object!(Directory);

impl Directory {
    /// Creates a directory of which only the id is known.
    #[must_use]
    pub fn new(id: impl Into<DirectoryId>) -> Self {
        Self {
            id: id.into(),
            organization_id: None,
            directory_type: None,
            state: None,
            name: None,
            external_key: None,
            domains: Vec::new(),
            created_at: None,
            updated_at: None,
        }
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("id", &self.id)
            .field("organization_id", &self.organization_id)
            .field("state", &self.state)
            .field("directory_type", &self.directory_type)
            .finish_non_exhaustive()
    }
}

/// A domain of the organization that a directory belongs to.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct OrganizationDomain {
    /// The domain's id.
    #[serde(deserialize_with = "not_empty")]
    pub id: OrganizationDomainId,
    /// The domain name, for example `foo-corp.com`.
    pub domain: Option<String>,
}

json_object!(OrganizationDomain);

impl OrganizationDomain {
    /// Creates a domain of which only the id is known.
    #[must_use]
    pub fn new(id: impl Into<OrganizationDomainId>) -> Self {
        Self { id: id.into(), domain: None }
    }
}

impl fmt::Debug for OrganizationDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrganizationDomain").field("id", &self.id).finish_non_exhaustive()
    }
}

text_enum! {
    /// The state of a directory.
    DirectoryState {
        /// Connected. The REST API calls it `linked`.
        Active = "active" | "linked",
        /// Being deleted.
        Deleting = "deleting",
        /// Not connected. The REST API calls it `unlinked`.
        Inactive = "inactive" | "unlinked",
        /// The provider rejects WorkOS's credentials.
        InvalidCredentials = "invalid_credentials",
        /// The connection is being checked.
        Validating = "validating",
    }
}

text_enum! {
    /// The provider or protocol that a directory is connected to.
    DirectoryType {
        /// Entra ID (Azure AD) over SCIM.
        AzureScim = "azure scim v2.0",
        /// BambooHR.
        BambooHr = "bamboohr",
        /// Breathe HR.
        BreatheHr = "breathe hr",
        /// Cezanne HR.
        CezanneHr = "cezanne hr",
        /// CyberArk over SCIM.
        CyberArkScim = "cyberark scim v2.0",
        /// Fourth HR.
        FourthHr = "fourth hr",
        /// Any other SCIM 2.0 provider.
        GenericScim = "generic scim v2.0",
        /// Google Workspace.
        Gsuite = "gsuite directory",
        /// Gusto.
        Gusto = "gusto",
        /// HiBob.
        HiBob = "hibob",
        /// JumpCloud over SCIM.
        JumpCloudScim = "jump cloud scim v2.0",
        /// Okta over SCIM.
        OktaScim = "okta scim v2.0",
        /// OneLogin over SCIM.
        OneLoginScim = "onelogin scim v2.0",
        /// People HR.
        PeopleHr = "people hr",
        /// Personio.
        Personio = "personio",
        /// PingFederate over SCIM.
        PingFederateScim = "pingfederate scim v2.0",
        /// Rippling.
        Rippling = "rippling",
        /// Rippling over SCIM.
        RipplingScim = "rippling scim v2.0",
        /// Files in S3.
        S3 = "s3",
        /// SailPoint over SCIM.
        SailPointScim = "sailpoint scim v2.0",
        /// Files over SFTP.
        Sftp = "sftp",
        /// Workday files over SFTP.
        SftpWorkday = "sftp workday",
        /// Workday.
        Workday = "workday",
    }
}
