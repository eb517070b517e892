//! When a certificate ends, which the verifier checks and does not tell.
//!
//! It reads just as far into the certificate as it must (RFC 5280, section 4.1) and judges nothing.

use time::PrimitiveDateTime;
use time::format_description::parse_borrowed;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const LONG_LENGTH: u8 = 0x80;

/// The end in seconds since 1970; `None` when this is no certificate.
pub(super) fn of(certificate: &[u8]) -> Option<u64> {
    let (outer, _) = expect(certificate, SEQUENCE)?;
    let (mut fields, _) = expect(outer, SEQUENCE)?;
    if let Some((_, after_version)) = expect(fields, VERSION) {
        fields = after_version;
    }
    // Serial number, signature algorithm and issuer stand before the validity.
    for _ in 0..3 {
        (_, _, fields) = element(fields)?;
    }
    let (validity, _) = expect(fields, SEQUENCE)?;
    let (_, _, end) = element(validity)?;
    let (tag, text, _) = element(end)?;
    moment(tag, std::str::from_utf8(text).ok()?)
}

fn moment(tag: u8, text: &str) -> Option<u64> {
    let century = match (tag, text.get(..2)?) {
        (GENERALIZED_TIME, _) => "",
        (UTC_TIME, year) if year < "50" => "20",
        (UTC_TIME, _) => "19",
        _ => return None,
    };
    let format = parse_borrowed::<2>("[year][month][day][hour][minute][second]Z").ok()?;
    let end = PrimitiveDateTime::parse(&format!("{century}{text}"), &format).ok()?;
    u64::try_from(end.assume_utc().unix_timestamp()).ok()
}

/// The content of the first element, which must have this tag, and what follows it.
fn expect(input: &[u8], expected: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(input)?;
    (tag == expected).then_some((content, rest))
}

/// Tag and content of the first element, and what follows it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, input) = input.split_first()?;
    let (&first, input) = input.split_first()?;
    let (length, input) = if first < LONG_LENGTH {
        (usize::from(first), input)
    } else {
        let (digits, input) = input.split_at_checked(usize::from(first - LONG_LENGTH))?;
        // Two bytes reach 64 kB, more than any certificate of ours.
        let length = match *digits {
            [low] => usize::from(low),
            [high, low] => usize::from(u16::from_be_bytes([high, low])),
            _ => return None,
        };
        (length, input)
    };
    let (content, rest) = input.split_at_checked(length)?;
    Some((tag, content, rest))
}
