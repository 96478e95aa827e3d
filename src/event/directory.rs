//! A directory.

use crate::event::{
    id::{DirectoryId, OrganizationDomainId, OrganizationId},
    macros::{object, text_enum},
    timestamp::Timestamp,
};

object! {
    /// A customer's directory: the connection to their Okta, Entra ID, Workday …
    ///
    /// Source: the WorkOS API reference, "Directory", and the `dsync.activated` event.
    Directory, debug(id, organization_id, state, directory_type);
    required {
        /// The directory's id.
        id: DirectoryId,
    }
    optional {
        /// The organization whose directory it is.
        organization_id: Option<OrganizationId>,
        /// Which provider it is connected to; `type` in JSON.
        directory_type = "type": Option<DirectoryType>,
        /// Its state; in `dsync.deleted` the one before the deletion.
        state: Option<DirectoryState>,
        /// Its name, given by whoever set it up.
        name: Option<String>,
        /// The key that the provider's connector authenticates with in URLs. Not in `dsync.deleted`.
        external_key: Option<String>,
        /// The organization's domains. Not in `dsync.deleted`.
        domains: Vec<OrganizationDomain>,
        /// When it was created.
        created_at: Option<Timestamp>,
        /// When it last changed.
        updated_at: Option<Timestamp>,
    }
}

object! {
    /// A domain of the organization that a directory belongs to.
    OrganizationDomain, debug(id);
    required {
        /// The domain's id.
        id: OrganizationDomainId,
    }
    optional {
        /// The domain itself, as `foo-corp.com`.
        domain: Option<String>,
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
        /// The provider refuses WorkOS's credentials.
        InvalidCredentials = "invalid_credentials",
        /// The connection is being checked.
        Validating = "validating",
    }
}

text_enum! {
    /// What a directory is connected to.
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
