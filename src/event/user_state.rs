//! The state of a directory user.

use crate::event::text::text_enum;

text_enum! {
    /// The state of a directory user.
    DirectoryUserState {
        /// May have access.
        Active = "active",
        /// Deactivated in the directory: no access.
        Inactive = "inactive",
        /// No access. Only in older deliveries.
        Suspended = "suspended",
    }
}
