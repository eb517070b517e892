//! What a token may hold, and that nothing but the token issued is taken (I5).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cloud::{CloudId, TenantId};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::{Refused, TOKEN_BYTES_MAX, Token, uri};
use crate::domain::key::{KeyId, Keys};
use crate::domain::link::{Link, Options, SLUG_BYTES_MAX, State};
use clock::Time;

const PUBLIC_URI: &str = "https://mandate.example";

fn cloud(id: &str) -> CloudId {
    CloudId::parse(id).unwrap()
}

fn keys(entries: &[(&str, [u8; 32])], current: &str) -> Keys {
    let lines = entries.iter().map(|(id, key)| format!("{id} = \"{}\"\n", STANDARD.encode(key)));
    Keys::parse(&format!("current = \"{current}\"\n[keys]\n{}", lines.collect::<String>())).unwrap()
}

fn token(partner: &str, slug: &str, generation: u32) -> Token {
    Token {
        partner: TenantId::parse(partner).unwrap(),
        options: Options::parse(slug).unwrap(),
        generation,
        key_id: KeyId::parse("k1").unwrap(),
    }
}

fn slug() -> impl Strategy<Value = String> {
    proptest::collection::btree_set("[a-z0-9][a-z0-9-]{0,20}", 0..6).prop_map(|services: BTreeSet<String>| {
        services.iter().fold("reseller".to_owned(), |slug, service| slug + "." + service)
    })
}

/// The decoded payload, with the signature.
fn payload(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.split_once('.').unwrap().1).unwrap()
}

proptest! {
    #[test]
    fn the_uri_is_always_the_same_and_decodes_to_partner_and_options_only(
        partner in "[a-z0-9][a-z0-9-]{0,62}",
        slug in slug(),
        generation in any::<u32>(),
        secret in any::<[u8; 32]>(),
        other in any::<[u8; 32]>(),
    ) {
        let public = cloud("public");
        let token = token(&partner, &slug, generation);
        let alone = keys(&[("k1", secret)], "k1");
        let signed = token.sign(&public, &alone).unwrap();
        let address = uri(PUBLIC_URI, &signed);
        // R18: again, in another process, and when another key has become the current one.
        let rotated = keys(&[("k1", secret), ("k2", other)], "k2");
        prop_assert_eq!(uri(PUBLIC_URI, &token.sign(&public, &rotated).unwrap()), address.as_str());
        prop_assert!(signed.len() < TOKEN_BYTES_MAX);
        prop_assert_eq!(Token::verify(&signed, &public, &alone), Ok(token.clone()));
        prop_assert_eq!(Token::verify(&address, &public, &rotated), Ok(token));
        // R17: every byte is accounted for, so there is no place left for a customer.
        let expected = [
            &[1, u8::try_from(partner.len()).unwrap()], partner.as_bytes(),
            &[u8::try_from(slug.len()).unwrap()], slug.as_bytes(),
            &generation.to_be_bytes(), &[2], b"k1",
        ].concat();
        let bytes = payload(&signed);
        prop_assert_eq!(&bytes[..bytes.len() - 32], expected);
    }

    #[test]
    fn a_token_of_another_key_is_refused(secret in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        let public = cloud("public");
        let signed = token("p", "reseller", 1).sign(&public, &keys(&[("k1", secret)], "k1")).unwrap();
        if secret != other {
            let verified = Token::verify(&signed, &public, &keys(&[("k1", other)], "k1"));
            prop_assert_eq!(verified, Err(Refused::Tampered));
        }
        let gone = keys(&[("k2", secret)], "k2");
        prop_assert_eq!(Token::verify(&signed, &public, &gone), Err(Refused::Tampered));
        prop_assert_eq!(token("p", "reseller", 1).sign(&public, &gone), None);
    }

    #[test]
    fn no_other_text_is_taken(text in "\\PC{0,80}") {
        let verified = Token::verify(&text, &cloud("public"), &keys(&[("k1", [7; 32])], "k1"));
        prop_assert!(verified.is_err());
    }
}

#[test]
fn every_single_bit_flip_is_refused() {
    let (public, keys) = (cloud("public"), keys(&[("k1", [7; 32])], "k1"));
    let signed = token("northwind", "reseller.azure-ad.office-365", 3).sign(&public, &keys).unwrap();
    // In the text as it travels, and in the bytes it stands for.
    for bit in 0..signed.len() * 8 {
        let mut bytes = signed.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        assert!(Token::verify(&text, &public, &keys).is_err(), "bit {bit} of the text");
    }
    let bytes = payload(&signed);
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let text = format!("public.{}", URL_SAFE_NO_PAD.encode(bytes));
        assert_eq!(Token::verify(&text, &public, &keys), Err(Refused::Tampered), "bit {bit} of the payload");
    }
}

#[test]
fn there_is_one_way_to_write_a_token() {
    let (public, keys) = (cloud("public"), keys(&[("k1", [7; 32])], "k1"));
    let signed = token("p", "reseller", 1).sign(&public, &keys).unwrap();
    let (_, body) = signed.split_once('.').unwrap();
    let mut longer = payload(&signed);
    longer.push(0);
    let last = body.chars().last().unwrap();
    let others = [
        format!("{signed}="),
        format!("{signed}A"),
        format!("{signed} "),
        format!("{signed}."),
        format!("{signed}/"),
        format!(" {signed}"),
        format!("public.{}", URL_SAFE_NO_PAD.encode(longer)),
        format!("PUBLIC.{body}"),
        format!("public.{}", &body[..body.len() - 1]),
        body.to_owned(),
        format!("public.{last}"),
        "public.".to_owned(),
        String::new(),
        format!("{PUBLIC_URI}/i/"),
        format!("{PUBLIC_URI}/i/{signed}?a=b"),
        format!("public.{}", "A".repeat(600)),
    ];
    for text in others {
        assert_eq!(Token::verify(&text, &public, &keys), Err(Refused::Tampered), "{text}");
    }
}

#[test]
fn a_token_of_another_cloud_is_told_from_a_tampered_one() {
    let keys = keys(&[("k1", [7; 32])], "k1");
    let signed = token("p", "reseller", 1).sign(&cloud("china"), &keys).unwrap();
    let verified = Token::verify(&uri(PUBLIC_URI, &signed), &cloud("public"), &keys);
    assert_eq!(verified, Err(Refused::OtherCloud(cloud("china"))));
    // The same payload under our own name: the cloud is signed too.
    let moved = signed.replacen("china", "public", 1);
    assert_eq!(Token::verify(&moved, &cloud("public"), &keys), Err(Refused::Tampered));
}

#[test]
fn the_longest_token_is_below_the_bound() {
    let service = |letter: char| letter.to_string().repeat(63);
    let slug = format!("reseller.{}.{}.{}", service('a'), service('b'), "c".repeat(62));
    assert_eq!(slug.len(), SLUG_BYTES_MAX - 1);
    let slug = format!("{slug}c");
    let key_id = "k".repeat(32);
    let token = Token { key_id: KeyId::parse(&key_id).unwrap(), ..token(&"p".repeat(63), &slug, u32::MAX) };
    let signed = token.sign(&cloud(&"c".repeat(32)), &keys(&[(&key_id, [7; 32])], &key_id)).unwrap();
    assert!(signed.len() < TOKEN_BYTES_MAX, "{}", signed.len());
}

#[test]
fn a_token_is_live_until_its_link_is_rotated_or_disabled() {
    let token = token("p", "reseller", 1);
    let link = Link::first(token.partner.clone(), token.options.clone(), token.key_id.clone(), Time::default());
    assert!(token.is_live(Some(&link)));
    assert!(!token.is_live(None));
    assert!(!token.is_live(Some(&Link { state: State::Disabled, ..link.clone() })));
    let rotated = link.rotated(&token.key_id, Time::default());
    assert!(!token.is_live(Some(&rotated)));
    assert!(Token::of(&rotated).is_live(Some(&rotated)));
}
