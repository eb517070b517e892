//! Opens real authorities in temporary folders and verifies what they certify as rustls does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tempfile::TempDir;
use webpki::{EndEntityCert, KeyUsage};

use super::*;

const NOW: u64 = 1_800_000_000;
const WORKLOAD: Workload<'static> =
    Workload { trust_domain: "mandate.test", cloud: Some("public"), service: "invitation" };

fn open(data_dir: &TempDir, now: u64) -> Authority {
    Authority::open(data_dir.path(), now).expect("the folder is ours")
}

fn authority_pem(data_dir: &TempDir) -> String {
    fs::read_to_string(ca_pem_path(data_dir.path())).expect("the authority wrote it")
}

fn refusal(data_dir: &TempDir, now: u64) -> String {
    match Authority::open(data_dir.path(), now) {
        Ok(_) => panic!("the authority opened"),
        Err(error) => error.to_string(),
    }
}

/// Verifies a leaf against a CA file, both as PEM, at a moment and for a usage.
fn verify(leaf: &str, ca: &str, now: u64, usage: KeyUsage) -> Result<(), webpki::Error> {
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).unwrap();
    let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
    let anchors = [webpki::anchor_from_trusted_cert(&ca).unwrap()];
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    EndEntityCert::try_from(&leaf)
        .unwrap()
        .verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &[], now, usage, None, None)
        .map(drop)
}

#[test]
fn a_certified_workload_is_accepted_as_server_and_as_client_for_thirty_days() {
    let data_dir = tempfile::tempdir().unwrap();
    let authority = open(&data_dir, NOW);
    let leaf = authority.issue(&WORKLOAD, NOW).unwrap().certificate_pem;
    let ca = fs::read_to_string(authority.ca_pem_path()).unwrap();
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        assert_eq!(verify(&leaf, &ca, NOW, usage), Ok(()));
        assert_eq!(verify(&leaf, &ca, NOW + WORKLOAD_SECONDS, usage), Ok(()));
        let late = verify(&leaf, &ca, NOW + WORKLOAD_SECONDS + 1, usage);
        assert!(matches!(late, Err(webpki::Error::CertExpired { .. })), "{late:?}");
    }
}

#[test]
fn another_authority_does_not_accept_the_workload() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let leaf = open(&ours, NOW).issue(&WORKLOAD, NOW).unwrap().certificate_pem;
    open(&theirs, NOW);
    assert!(verify(&leaf, &authority_pem(&theirs), NOW, KeyUsage::client_auth()).is_err());
}

#[test]
fn a_certificate_names_its_workload_and_its_hosts() {
    let data_dir = tempfile::tempdir().unwrap();
    let authority = open(&data_dir, NOW);
    let gateway = Workload::gateway("mandate.test");
    let expected = [
        (WORKLOAD, "spiffe://mandate.test/public/invitation", "invitation.public.mandate.internal"),
        (gateway, "spiffe://mandate.test/gateway", "gateway.mandate.internal"),
    ];
    for (workload, uri, host) in expected {
        let pem = authority.issue(&workload, NOW).unwrap().certificate_pem;
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let leaf = EndEntityCert::try_from(&der).unwrap();
        assert_eq!(leaf.valid_uri_names().collect::<Vec<_>>(), [uri]);
        assert_eq!(leaf.valid_dns_names().collect::<Vec<_>>(), [host, "localhost"]);
        for name in [host, "localhost"] {
            let name = ServerName::try_from(name).unwrap();
            assert_eq!(leaf.verify_is_valid_for_subject_name(&name), Ok(()));
        }
        assert_eq!(expiry::of(&der), Some(NOW + WORKLOAD_SECONDS));
    }
}

#[test]
fn rustls_serves_and_calls_with_the_files() {
    let data_dir = tempfile::tempdir().unwrap();
    // Here rustls itself reads the clock, so the certificates must hold today.
    let now = UnixTime::now().as_secs();
    let authority = open(&data_dir, now);
    let server = authority.issue(&WORKLOAD, now).unwrap();
    let client = authority.issue(&Workload::gateway("mandate.test"), now).unwrap();
    handshake::complete(&authority.ca_pem_path(), &server, &client);
}

mod handshake {
    //! A mutual TLS handshake over a pair of buffers.

    use std::sync::Arc;

    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::WebPkiClientVerifier;
    use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};

    use super::*;

    type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

    fn chain(identity: &Identity) -> Chain {
        let certificate = CertificateDer::from_pem_file(&identity.certificate_path).unwrap();
        (vec![certificate], PrivateKeyDer::from_pem_file(&identity.key_path).unwrap())
    }

    pub(super) fn complete(ca: &Path, server: &Identity, client: &Identity) {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());

        let (certificates, key) = chain(server);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build().unwrap();
        let serving = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates, key)
            .unwrap();

        let (certificates, key) = chain(client);
        let calling = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates, key)
            .unwrap();

        let mut serving: Connection = ServerConnection::new(Arc::new(serving)).unwrap().into();
        let name = ServerName::try_from("invitation.public.mandate.internal").unwrap();
        let mut calling: Connection = ClientConnection::new(Arc::new(calling), name).unwrap().into();
        while serving.is_handshaking() || calling.is_handshaking() {
            pass(&mut calling, &mut serving);
            pass(&mut serving, &mut calling);
        }
        assert_eq!(serving.peer_certificates().map(<[_]>::len), Some(1));
    }

    fn pass(from: &mut Connection, to: &mut Connection) {
        let mut wire = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut wire).unwrap();
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            to.read_tls(&mut wire).unwrap();
            to.process_new_packets().unwrap();
        }
    }
}

#[test]
fn the_authority_is_made_once_and_reused() {
    let data_dir = tempfile::tempdir().unwrap();
    let first = open(&data_dir, NOW);
    let early = first.issue(&WORKLOAD, NOW).unwrap().certificate_pem;
    let before = authority_pem(&data_dir);
    let later = NOW + DAY_SECONDS;
    let second = open(&data_dir, later);
    assert_eq!(authority_pem(&data_dir), before);
    let late = second.issue(&WORKLOAD, later).unwrap().certificate_pem;
    assert_ne!(early, late, "a workload's certificate is made anew at each start");
    for leaf in [early, late] {
        assert_eq!(verify(&leaf, &before, later, KeyUsage::server_auth()), Ok(()));
    }
}

#[test]
fn an_authority_that_does_not_outlive_its_workloads_is_made_anew() {
    let data_dir = tempfile::tempdir().unwrap();
    open(&data_dir, NOW);
    let first = authority_pem(&data_dir);
    let last_day = NOW + AUTHORITY_SECONDS - WORKLOAD_SECONDS;
    open(&data_dir, last_day);
    assert_eq!(authority_pem(&data_dir), first);
    let authority = open(&data_dir, last_day + 1);
    let second = authority_pem(&data_dir);
    assert_ne!(second, first);
    let leaf = authority.issue(&WORKLOAD, last_day + 1).unwrap().certificate_pem;
    assert_eq!(verify(&leaf, &second, last_day + 1, KeyUsage::client_auth()), Ok(()));
    // Long expired is no different.
    open(&data_dir, NOW + 10 * AUTHORITY_SECONDS);
    assert_ne!(authority_pem(&data_dir), second);
}

#[test]
fn only_the_owner_can_read_the_files() {
    let data_dir = tempfile::tempdir().unwrap();
    let identity = open(&data_dir, NOW).issue(&WORKLOAD, NOW).unwrap();
    let ca = ca_pem_path(data_dir.path());
    let files = [&ca, &key_path(data_dir.path()), &identity.certificate_path, &identity.key_path];
    for file in files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        let folder = file.parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
    assert_eq!(identity.certificate_path, data_dir.path().join("public/invitation.pem"));
    assert_eq!(fs::read_to_string(&identity.key_path).unwrap(), identity.key_pem);
    assert!(!format!("{identity:?}").contains("PRIVATE"), "a key must not reach a log");
}

#[test]
fn a_start_cut_off_before_the_certificate_is_made_good() {
    let data_dir = tempfile::tempdir().unwrap();
    open(&data_dir, NOW);
    fs::remove_file(ca_pem_path(data_dir.path())).unwrap();
    open(&data_dir, NOW).issue(&WORKLOAD, NOW).unwrap();
}

#[test]
fn a_broken_file_is_named_with_what_to_do() {
    let cases: [(&str, &[u8], &str); 5] = [
        (AUTHORITY_FILE, b"not a certificate", "holds no certificate"),
        (AUTHORITY_FILE, b"\xff", "cannot read"),
        (
            AUTHORITY_FILE,
            b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "holds a broken certificate",
        ),
        (AUTHORITY_KEY_FILE, b"", "holds no private key"),
        (AUTHORITY_KEY_FILE, b"\xff", "cannot read"),
    ];
    for (name, content, problem) in cases {
        let data_dir = tempfile::tempdir().unwrap();
        open(&data_dir, NOW);
        let path = data_dir.path().join(FOLDER).join(name);
        fs::write(&path, content).unwrap();
        let sentence = refusal(&data_dir, NOW);
        assert!(sentence.contains(problem), "{sentence}");
        assert!(sentence.contains(path.to_str().unwrap()), "{sentence}");
        assert_eq!(fs::read(&path).unwrap(), content, "a broken file is left for its owner");
    }
}

#[test]
fn a_key_that_is_missing_or_of_another_authority_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    open(&ours, NOW);
    open(&theirs, NOW);
    fs::copy(key_path(theirs.path()), key_path(ours.path())).unwrap();
    assert!(refusal(&ours, NOW).contains("does not belong to the key beside it"));
    fs::remove_file(key_path(ours.path())).unwrap();
    assert!(refusal(&ours, NOW).contains("ca-key.pem is missing"));
}

#[test]
fn names_that_could_leave_the_folder_or_forge_a_name_are_refused() {
    let data_dir = tempfile::tempdir().unwrap();
    let authority = open(&data_dir, NOW);
    let bad = ["", ".", "..", "a/b", "../x", "A", "1a", "a b", "a-", "a\0"];
    for name in bad {
        for workload in [
            Workload { cloud: Some(name), ..WORKLOAD },
            Workload { service: name, ..WORKLOAD },
            Workload { trust_domain: name, ..WORKLOAD },
        ] {
            let refused = authority.issue(&workload, NOW);
            assert!(matches!(refused, Err(Error::Name { .. })), "{workload:?}");
        }
    }
}

#[test]
fn every_truncation_of_a_certificate_has_no_expiry_and_none_panics() {
    let data_dir = tempfile::tempdir().unwrap();
    let authority = open(&data_dir, NOW);
    let whole = &authority.certificate;
    assert_eq!(expiry::of(whole), Some(NOW + AUTHORITY_SECONDS));
    for length in 0..whole.len() {
        assert_eq!(expiry::of(&whole[..length]), None);
    }
}
