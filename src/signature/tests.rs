//! The rules of the header, one by one. `fuzz/` compares the parser with a model.

use super::*;

const HEX: &str = "bd54a3768f461461c8439c2f97ab0d646ef3976f84d5d5b132d18f2fa89cdad5";
const OTHER: &str = "32850522003ebbce01a416e5d5df8ec8354a96e921cac7d0ebbaeef5732bdaea";

fn parse(value: impl AsRef<str>) -> Result<SignatureHeader, SignatureHeaderError> {
    value.as_ref().parse()
}

fn reason(value: impl AsRef<str>) -> String {
    parse(value).unwrap_err().to_string().replace("the workos-signature header is malformed: ", "")
}

#[test]
fn milliseconds_as_workos_sends_them() {
    let header = parse(format!("t=1722443701539, v1={HEX}")).unwrap();
    assert_eq!(header.issued_at(), Timestamp::from_unix_millis_saturating(1_722_443_701_539));
    assert_eq!(header.digits(), b"1722443701539");
    assert_eq!(header.signatures().count(), 1);
    assert_eq!(header.signatures().next().unwrap()[..3], [0xbd, 0x54, 0xa3]);
}

#[test]
fn seconds_and_no_space_as_the_emulator_sends_them() {
    let header = parse(format!("t=1722443701,v1={HEX}")).unwrap();
    assert_eq!(header.issued_at(), Timestamp::from_unix_millis_saturating(1_722_443_701_000));
    assert_eq!(header.digits(), b"1722443701");
}

#[test]
fn any_number_of_digits_up_to_the_limit() {
    for count in 1..=MAX_DIGITS {
        let header = parse(format!("t={},v1={HEX}", "7".repeat(count))).unwrap();
        assert_eq!(header.digits().len(), count);
    }
    assert!(parse(format!("t={},v1={HEX}", "7".repeat(MAX_DIGITS + 1))).is_err());
}

#[test]
fn the_unit_changes_at_100_billion() {
    for (digits, millis) in [
        ("99999999999", 99_999_999_999_000),
        ("100000000000", 100_000_000_000),
        ("100000000001", 100_000_000_001),
        ("0", 0),
        ("0000000000000001", 1000),
        ("0001722443701539", 1_722_443_701_539),
    ] {
        let header = parse(format!("t={digits},v1={HEX}")).unwrap();
        assert_eq!(header.issued_at(), Timestamp::from_unix_millis_saturating(millis), "{digits}");
        assert_eq!(header.digits(), digits.as_bytes());
    }
}

#[test]
fn the_largest_timestamp_saturates() {
    let header = parse(format!("t=9999999999999999,v1={HEX}")).unwrap();
    assert_eq!(header.issued_at(), Timestamp::MAX);
}

#[test]
fn order_white_space_and_unknown_keys_do_not_matter() {
    let plain = parse(format!("t=1722443701539, v1={HEX}")).unwrap();
    for value in [
        format!("v1={HEX},t=1722443701539"),
        format!(" \tt=1722443701539 ,\t v1={HEX}\t "),
        format!("v2=whatever, t=1722443701539, v1={HEX}, V1=no, T=no, t2=1, x==,y="),
        format!("t=1722443701539, v1={}", HEX.to_uppercase()),
        format!("t=1722443701539, v1=bad, v1={HEX}, v1={HEX}0, v1={}", HEX.replace('b', "g")),
    ] {
        assert_eq!(parse(&value).unwrap(), plain, "{value}");
    }
}

#[test]
fn several_signatures_are_kept_in_order_up_to_eight() {
    let header = parse(format!("t=1,v1={HEX},v1={OTHER}")).unwrap();
    assert_eq!(header.signatures().count(), 2);
    assert_eq!(header.signatures().nth(1).unwrap()[0], 0x32);
    for (count, kept) in [(7, 7), (8, 8), (9, 8)] {
        let header = parse(format!("t=1{}", format!(",v1={HEX}").repeat(count))).unwrap();
        assert_eq!(header.signatures().count(), kept);
    }
    // An ignored `v1` also counts towards the eight, so the ninth is not considered.
    let header = format!("t=1{},v1={HEX},v1={OTHER}", ",v1=bad".repeat(7));
    assert_eq!(parse(header).unwrap().signatures().count(), 1);
}

#[test]
fn malformed_headers_say_why() {
    let v1 = format!("v1={HEX}");
    for digits in ["", "12345678901234567", "-1", "+1", "1.5", "0x10", "1e3", "NaN", "1 2", "١"] {
        assert_eq!(reason(format!("t={digits},{v1}")), "`t` is not 1 to 16 digits", "{digits}");
    }
    assert_eq!(reason(format!("t=1,t=1,{v1}")), "`t` occurs more than once");
    assert_eq!(reason(&v1), "no `t` element");
    for value in ["t=1", "t=1,v2=00", "t=1,v1=", "t=1,v1=00", "t=1,v1=zz"] {
        assert_eq!(reason(value), "no `v1` element of 64 hex digits", "{value}");
    }
    for junk in ["", HEX, "=x", "t"] {
        let value = format!("{v1},t=1,{junk}");
        assert_eq!(reason(value), "an element is not `key=value`", "{junk:?}");
    }
    assert_eq!(reason(""), "an element is not `key=value`");
}

#[test]
fn control_characters_are_malformed_inside_elements() {
    let value = format!("t=1722443701539, v1={HEX}");
    // All of them take Miri minutes.
    let step = if cfg!(miri) { 9 } else { 1 };
    for control in (0..=0x1f).chain([0x7f]).map(char::from).step_by(step) {
        for (at, _) in value.char_indices().chain([(value.len(), ' ')]) {
            let mut changed = value.clone();
            changed.insert(at, control);
            let around = [0, 15, 16, 17, value.len()].contains(&at);
            if control == '\t' && around {
                assert!(parse(&changed).is_ok(), "{changed:?}");
            } else {
                assert_eq!(
                    reason(&changed),
                    "an element contains a control character",
                    "{changed:?}"
                );
            }
        }
        let unknown = format!("{value}, note=a{control}b");
        assert_eq!(reason(&unknown), "an element contains a control character", "{unknown:?}");
    }
}

#[test]
fn two_pasted_lines_are_malformed() {
    let line = format!("workos-signature: t=1722443701539, v1={HEX}");
    let value = line.strip_prefix("workos-signature: ").unwrap();
    for end in ["\n", "\r\n", "\r"] {
        let pasted = format!("{value}{end}{line}");
        assert_eq!(reason(&pasted), "an element contains a control character");
        assert_eq!(reason(format!("{value}{end}")), "an element contains a control character");
    }
}

#[test]
fn elements_are_split_at_every_comma() {
    // 64 bytes after `v1=`, and a comma after them; but other elements among them.
    let swallowed = format!("t=1,v1=x,t=1,k={},v1={HEX}", "y".repeat(56));
    assert_eq!(reason(swallowed), "`t` occurs more than once");
    let time = "t=1722443701539";
    let hidden = format!("v1={HEX},v1=x,{time},k={},x=y", "y".repeat(64 - 2 - time.len() - 3));
    assert_eq!(parse(hidden).unwrap().digits(), b"1722443701539");
}

#[test]
fn every_digit_of_the_signature_is_checked() {
    // All of them take Miri minutes.
    for at in (0..64).step_by(if cfg!(miri) { 37 } else { 1 }) {
        for byte in (0..=u8::MAX).step_by(if cfg!(miri) { 7 } else { 1 }) {
            let mut hex = HEX.as_bytes().to_vec();
            hex[at] = byte;
            let value = [b"t=1722443701539,v1=".as_slice(), &hex].concat();
            let parsed = SignatureHeader::parse(&value).ok().map(|header| header.first[at / 2]);
            let pair = str::from_utf8(&hex[at / 2 * 2..at / 2 * 2 + 2]).ok();
            let expected = pair.filter(|_| byte.is_ascii_hexdigit());
            let expected = expected.map(|pair| u8::from_str_radix(pair, 16).unwrap());
            assert_eq!(parsed, expected, "{byte:#x} at {at}");
        }
    }
}

#[test]
fn length_at_the_limit() {
    for (length, ok) in [(1023, true), (1024, true), (1025, false)] {
        let value = format!("t=1,v1={HEX},x=");
        let value = format!("{value}{}", "y".repeat(length - value.len()));
        assert_eq!(value.len(), length);
        assert_eq!(parse(&value).is_ok(), ok, "{length}");
        if !ok {
            assert_eq!(reason(value), "longer than 1024 bytes");
        }
    }
}

#[test]
fn one_header_line_only() {
    let value = HeaderValue::from_str(&format!("t=1,v1={HEX}")).unwrap();
    let mut headers = HeaderMap::new();
    let missing = SignatureHeader::from_headers(&headers).unwrap_err();
    assert_eq!(missing, SignatureHeaderError::Missing);
    headers.append(SIGNATURE_HEADER, value.clone());
    assert!(SignatureHeader::from_headers(&headers).is_ok());
    headers.append(SIGNATURE_HEADER, value);
    let twice = SignatureHeader::from_headers(&headers).unwrap_err();
    assert_eq!(twice, SignatureHeaderError::DuplicateHeader);
}

#[test]
fn debug_shows_no_signature() {
    let header = parse(format!("t=1722443701,v1={HEX}")).unwrap();
    assert_eq!(
        format!("{header:?}"),
        "SignatureHeader { issued_at: 2024-07-31T16:35:01Z, signatures: 1 }"
    );
}

/// Guards the shortcut; without it, the result would be the same but take longer.
#[test]
fn the_usual_form_takes_the_shortcut() {
    for separator in [", ", ","] {
        let value = format!("t=1722443701539{separator}v1={HEX}");
        // The same in a form that the shortcut does not take.
        let plain = format!("v1={HEX},t=1722443701539");
        assert_eq!(SignatureHeader::parse_usual(plain.as_bytes()), None);
        assert_eq!(SignatureHeader::parse_usual(value.as_bytes()), parse(plain).ok());
    }
}

#[test]
fn the_shortcut_takes_nothing_that_the_rules_reject() {
    let usual = format!("t=1722443701539, v1={HEX}");
    for at in 0..=usual.len() {
        for byte in *b"0,=x \t\n\0" {
            let mut value = usual.clone().into_bytes();
            value.insert(at, byte);
            assert_eq!(SignatureHeader::parse_usual(&value), None, "{}", value.escape_ascii());
        }
    }
    assert_eq!(
        SignatureHeader::parse_usual(format!("t=1722443701539,v1=0x{}", &HEX[2..]).as_bytes()),
        None
    );
}
