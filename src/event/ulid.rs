//! The time inside an id.

use crate::event::timestamp::Timestamp;

/// Crockford's base32: no I, L, O or U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 26;
/// The bits after the time.
const RANDOM_BITS: u32 = 80;
/// 2015-01-01T00:00:00Z, in Unix milliseconds. WorkOS did not exist before, so an id with an earlier time is not a ULID.
const EARLIEST: i64 = 1_420_070_400_000;

/// The time of the ULID after the last `_` of an id such as `event_01K8Q6W1T5N9C2H4J7M0P3R6VZ`. `None` if that part is not a
/// ULID, or if its time is before 2015 or after [`Timestamp::MAX`].
pub(super) fn time(id: &str) -> Option<Timestamp> {
    let (_, ulid) = id.rsplit_once('_')?;
    if ulid.len() != LENGTH {
        return None;
    }
    // 26 digits have 130 bits; the number overflows if the first digit is above 7.
    let number = ulid
        .bytes()
        .try_fold(0_u128, |number, byte| number.checked_mul(32)?.checked_add(digit(byte)?))?;
    let millis = i64::try_from(number >> RANDOM_BITS).ok()?;
    Timestamp::from_unix_millis(millis).ok().filter(|_| millis >= EARLIEST)
}

fn digit(byte: u8) -> Option<u128> {
    let value = DIGITS.iter().position(|&digit| digit == byte.to_ascii_uppercase())?;
    u128::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(id: &str) -> Option<i64> {
        time(id).map(Timestamp::as_unix_millis)
    }

    #[test]
    fn the_first_ten_digits_are_the_time() {
        // The example of the ULID specification.
        let expected = Some(1_469_922_850_259);
        assert_eq!(millis("event_01ARZ3NDEKTSV4RRFFQ69G5FAV"), expected);
        for id in [
            "wh_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "event_01arz3ndektsv4rrffq69g5fav",
            "event_01aRZ3NDEKTSV4RRFFQ69G5FAv",
            "event_staging_01ARZ3NDEK0000000000000000",
            "event_01ARZ3NDEKZZZZZZZZZZZZZZZZ",
        ] {
            assert_eq!(millis(id), expected, "{id}");
        }
    }

    #[test]
    fn other_ids_have_no_time() {
        for id in [
            "",
            "_",
            "event_",
            "event_1",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "event_01ARZ3NDEKTSV4RRFFQ69G5FA",
            "event_01ARZ3NDEKTSV4RRFFQ69G5FAV0",
            "event_01ARZ3NDEKTSV4RRFFQ69G5FAV_",
            "event_01ARZ3NDEKTSV4RRFFQ69G5FAV_1",
            // Characters that are not in the alphabet, at various positions.
            "event_0IARZ3NDEKTSV4RRFFQ69G5FAV",
            "event_0lARZ3NDEKTSV4RRFFQ69G5FAV",
            "event_O1ARZ3NDEKTSV4RRFFQ69G5FAV",
            "event_01ARZ3NDEKTSV4RRFFQ69G5FAU",
            "event_01ARZ3NDEKTSV4RRFFQ69G5F-V",
            "event_01ARZ3NDEKTSV4RRFFQ69G5Fé",
            // More than 128 bits.
            "event_81ARZ3NDEKTSV4RRFFQ69G5FAV",
            "event_ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
        ] {
            assert_eq!(millis(id), None, "{id}");
        }
    }

    #[test]
    fn an_implausible_time_does_not_count() {
        assert_eq!(millis("event_019AHCNC000000000000000000"), Some(EARLIEST));
        assert_eq!(millis("event_019AHCNBZZZZZZZZZZZZZZZZZZ"), None);
        assert_eq!(millis("event_00000000000000000000000000"), None);
        // After the latest time that RFC 3339 can represent.
        assert_eq!(millis("event_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), None);
    }
}
