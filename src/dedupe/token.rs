use std::fmt;

use crate::dedupe::store::StoreError;

/// A token for stores in databases: 128 random bits.
///
/// `RedisStore` and the stores of `tower-workos-sqlx` use it, and so can your own store. Keep its bytes in the store
/// only: anybody who has them can complete or release the claim.
///
/// ```
/// use tower_workos::dedupe::ClaimToken;
///
/// # fn main() -> Result<(), tower_workos::dedupe::StoreError> {
/// let token = ClaimToken::random()?;
/// let column: Vec<u8> = token.as_bytes().to_vec();
///
/// let read: [u8; 16] = column.try_into().expect("16 bytes were written");
/// assert_eq!(ClaimToken::from_bytes(read), token);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClaimToken([u8; 16]);

impl ClaimToken {
    /// Creates a random token, from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`StoreError::unavailable`] if the operating system returns no random numbers.
    pub fn random() -> Result<Self, StoreError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| StoreError::unavailable(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// Restores a token from the bytes that [`as_bytes`](Self::as_bytes) returned.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The token's bytes, to be stored in a database.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_hide_their_bytes() {
        let [first, second] = [ClaimToken::random().unwrap(), ClaimToken::random().unwrap()];
        assert_ne!(first, second);
        assert_eq!(ClaimToken::from_bytes(*first.as_bytes()), first);
        assert_eq!(format!("{:?}", ClaimToken::from_bytes([7; 16])), "ClaimToken(..)");
    }
}
