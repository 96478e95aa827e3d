//! Reads an address from a header to which each proxy appends the address of its client.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName};

/// The entry at this position of all lines of a header, counted from 1 at the end.
///
/// A client can only write what precedes the entries of the proxies, so nothing to the left of the entry is looked at. An
/// empty entry counts: if it were skipped, an entry that the client wrote could take its place.
pub(super) fn entry(headers: &HeaderMap, name: &HeaderName, position: usize) -> Option<IpAddr> {
    let lines = headers.get_all(name).iter().rev();
    let mut entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    address(entries.nth(position.checked_sub(1)?)?)
}

/// Parses `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:443`, with spaces or tabs around it.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const NAME: HeaderName = HeaderName::from_static("x-forwarded-for");

    fn headers<'v>(lines: impl IntoIterator<Item = &'v [u8]>) -> HeaderMap {
        lines.into_iter().map(|line| (NAME, HeaderValue::from_bytes(line).unwrap())).collect()
    }

    fn of(lines: &[&str], position: usize) -> Option<String> {
        let headers = headers(lines.iter().map(|line| line.as_bytes()));
        entry(&headers, &NAME, position).map(|address| address.to_string())
    }

    #[test]
    fn entries_are_counted_from_the_end_of_the_last_line() {
        for (lines, position, expected) in [
            (&["192.0.2.1"][..], 1, Some("192.0.2.1")),
            (&["198.51.100.9, 192.0.2.1"], 1, Some("192.0.2.1")),
            (&["198.51.100.9, 192.0.2.1"], 2, Some("198.51.100.9")),
            (&["198.51.100.9", "192.0.2.1"], 1, Some("192.0.2.1")),
            (&["198.51.100.9", "203.0.113.5,192.0.2.1"], 2, Some("203.0.113.5")),
            (&["198.51.100.9", "203.0.113.5,192.0.2.1"], 3, Some("198.51.100.9")),
            (&["198.51.100.9, 192.0.2.1"], 3, None),
            (&["192.0.2.1"], 0, None),
            (&["192.0.2.1"], usize::MAX, None),
            (&[], 1, None),
            (&[""], 1, None),
            // An empty entry counts, so that nothing written by the client takes its place.
            (&["192.0.2.1,"], 1, None),
            (&["192.0.2.1, ,203.0.113.5"], 2, None),
            (&["192.0.2.1", ""], 1, None),
        ] {
            assert_eq!(of(lines, position).as_deref(), expected, "{lines:?} {position}");
        }
    }

    #[test]
    fn an_entry_is_an_address_with_or_without_port() {
        for (entry, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("\t 192.0.2.1 ", Some("192.0.2.1")),
            ("192.0.2.1:443", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("::ffff:192.0.2.1")),
            ("[192.0.2.1]", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:65536", None),
            ("192.0.2.01", None),
            ("192.0.2", None),
            ("3221225985", None),
            ("0xc0.0.2.1", None),
            ("\"192.0.2.1\"", None),
            ("for=192.0.2.1", None),
            ("[2001:db8::1", None),
            ("2001:db8::1]", None),
            ("[[2001:db8::1]]", None),
            ("unknown", None),
            ("unix:", None),
            ("_hidden", None),
            ("192.0.2.1 192.0.2.2", None),
        ] {
            assert_eq!(of(&[entry], 1).as_deref(), expected, "{entry}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_spoil_only_their_own_entry() {
        let headers = headers([&b"\xff\xfe, 192.0.2.1"[..]]);
        assert_eq!(entry(&headers, &NAME, 1), Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(entry(&headers, &NAME, 2), None);
    }

    /// A line as a client can send it: any visible text and bytes, in which addresses and separators are frequent.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"192.0.2.7".to_vec()),
            Just(b"[2001:db8::7]:1".to_vec()),
            Just(b",".to_vec()),
            Just(b" \t".to_vec()),
            Just(b"\"".to_vec()),
            proptest::collection::vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8], 0..8),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    fn proxies() -> impl Strategy<Value = Vec<IpAddr>> {
        proptest::collection::vec(any::<IpAddr>(), 1..5)
    }

    proptest! {
        /// A simpler implementation, which splits the whole text.
        #[test]
        fn any_lines_give_what_the_joined_text_has_at_the_position(
            lines in proptest::collection::vec(line(), 0..4),
            position in 0_usize..8,
        ) {
            let joined = lines.join(&b',');
            let mut entries: Vec<&[u8]> = joined.split(|byte| *byte == b',').collect();
            if lines.is_empty() {
                entries.clear();
            }
            let expected = entries
                .len()
                .checked_sub(position)
                .filter(|_| position > 0)
                .and_then(|index| address(entries.get(index)?));
            let headers = headers(lines.iter().map(Vec::as_slice));
            prop_assert_eq!(entry(&headers, &NAME, position), expected);
        }

        /// Whatever the client writes, before the proxies append to its line or add lines of their own.
        #[test]
        fn a_client_cannot_choose_the_entry(
            written in proptest::collection::vec(line(), 0..4),
            appended in proxies(),
            own_lines in any::<bool>(),
        ) {
            let mut lines = written;
            for (index, address) in appended.iter().enumerate() {
                let address = address.to_string();
                match lines.last_mut() {
                    Some(last) if !own_lines || index > 0 => {
                        last.extend_from_slice(b", ");
                        last.extend_from_slice(address.as_bytes());
                    }
                    _ => lines.push(address.into_bytes()),
                }
            }
            let headers = headers(lines.iter().map(Vec::as_slice));
            prop_assert_eq!(entry(&headers, &NAME, appended.len()), appended.first().copied());
        }
    }
}
