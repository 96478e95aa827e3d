use std::{error::Error, fmt};

use tower_workos::dedupe::StoreError;

use crate::database::{Fault, Statements, fault};

/// A driver's error with a hint on how to fix it.
#[derive(Debug)]
struct Hint {
    hint: &'static str,
    source: sqlx::Error,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hint)
    }
}

impl Error for Hint {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The error of a statement that was its own transaction.
pub(crate) fn alone<DB: Statements>(error: sqlx::Error) -> StoreError {
    if fault::<DB>(&error) == Fault::NotMigrated {
        StoreError::not_migrated(error)
    } else {
        StoreError::unavailable(error)
    }
}

/// The error of a statement in the application's transaction.
pub(crate) fn joined<DB: Statements>(error: sqlx::Error) -> StoreError {
    if fault::<DB>(&error) == Fault::Conflict {
        StoreError::unavailable(Hint { hint: DB::CONFLICT, source: error })
    } else {
        alone::<DB>(error)
    }
}

/// The error if the tables can't be locked for a migration.
pub(crate) fn blocked(source: sqlx::Error) -> StoreError {
    let hint = "the migration waits for transactions that use the store's tables; end them, or migrate while there are none";
    StoreError::unavailable(Hint { hint, source })
}
