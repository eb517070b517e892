//! A certificate authority for one test, and the certificates of its services as files.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

/// The trust domain of all certificates made here.
pub const TRUST_DOMAIN: &str = "mandate.internal";

/// An authority, with the folder that its files are in. The folder goes with it.
#[derive(Debug)]
pub struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// The files by which a service proves itself and verifies others. All hold PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority.
    pub authority: PathBuf,
}

impl Files {
    /// The content of one of the files.
    ///
    /// # Panics
    /// When the file has gone.
    #[must_use]
    pub fn read(path: &Path) -> String {
        std::fs::read_to_string(path).expect("the file was just written")
    }
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    /// When there is no room for its files.
    #[must_use]
    pub fn new() -> Authority {
        let folder = tempfile::tempdir().expect("room for a folder");
        let key = KeyPair::generate().expect("randomness");
        let mut params = CertificateParams::new(Vec::new()).expect("no names, no error");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a valid certificate");
        std::fs::write(folder.path().join("authority.pem"), certificate.pem()).expect("room for a file");
        Authority { folder, issuer: Issuer::new(params, key) }
    }

    /// Certifies a service of a cloud.
    ///
    /// # Panics
    /// When there is no room for its files.
    #[must_use]
    pub fn service(&self, cloud: &str, service: &str) -> Files {
        self.certify(&format!("spiffe://{TRUST_DOMAIN}/{cloud}/{service}"))
    }

    /// Certifies the gateway.
    ///
    /// # Panics
    /// When there is no room for its files.
    #[must_use]
    pub fn gateway(&self) -> Files {
        self.certify(&format!("spiffe://{TRUST_DOMAIN}/gateway"))
    }

    /// Certifies whoever has this SPIFFE name, be it one of ours or not.
    ///
    /// # Panics
    /// When the name is no URI, or there is no room for its files.
    #[must_use]
    pub fn certify(&self, uri: &str) -> Files {
        let file = uri.replace(['/', ':'], "-");
        let key = KeyPair::generate().expect("randomness");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a valid name");
        params.subject_alt_names.push(SanType::URI(uri.try_into().expect("a URI is ASCII")));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("a valid certificate");
        let folder = self.folder.path();
        let files = Files {
            certificate: folder.join(format!("{file}.pem")),
            key: folder.join(format!("{file}-key.pem")),
            authority: folder.join("authority.pem"),
        };
        std::fs::write(&files.certificate, certificate.pem()).expect("room for a file");
        std::fs::write(&files.key, key.serialize_pem()).expect("room for a file");
        files
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}
