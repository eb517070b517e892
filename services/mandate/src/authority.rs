//! Certifies the workloads of an embedded start, so that they prove themselves as in production.
//!
//! The authority's own certificate stays in the data directory and is renewed in time; a workload's
//! certificate is made anew at each start and put into files, because services read theirs from
//! files everywhere. It revokes nothing and renews nothing while a process runs.

use std::fmt;
use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;

use crate::private_file;

mod expiry;

const FOLDER: &str = "authority";
const AUTHORITY_FILE: &str = "ca.pem";
const AUTHORITY_KEY_FILE: &str = "ca-key.pem";
const AUTHORITY_NAME: &str = "Mandate embedded authority";
const GATEWAY: &str = "gateway";
const TRUST_DOMAIN_LENGTH_MAX: usize = 255;

const DAY_SECONDS: u64 = 24 * 3600;
/// A clock of another machine may be a little behind ours.
const BACKDATED_SECONDS: u64 = 3600;
const AUTHORITY_SECONDS: u64 = 365 * DAY_SECONDS;
const WORKLOAD_SECONDS: u64 = 30 * DAY_SECONDS;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error(transparent)]
    File(#[from] private_file::Error),
    /// A file of the authority is not what we wrote.
    #[error(
        "{} {problem}; put the right file back, or remove the folder {} to have a new authority made",
        path.display(),
        path.parent().unwrap_or(path).display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, to be read after its name.
        problem: &'static str,
    },
    /// A part of a workload's name that cannot stand in a certificate.
    #[error("{value:?} cannot be a {part}: use lower-case letters, digits and hyphens")]
    Name {
        /// Which part.
        part: &'static str,
        /// The refused value.
        value: String,
    },
    /// The moment is none a certificate can carry.
    #[error("the clock says {now} seconds since 1970, which no certificate can carry")]
    Time {
        /// What the clock said.
        now: u64,
    },
    /// The certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
}

/// Who gets a certificate.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a> {
    /// The part of the name that all workloads of an installation share.
    pub trust_domain: &'a str,
    /// The cloud it belongs to; the gateway belongs to none.
    pub cloud: Option<&'a str>,
    /// The service.
    pub service: &'a str,
}

impl Workload<'_> {
    /// The gateway, which belongs to no cloud.
    #[must_use]
    pub fn gateway(trust_domain: &str) -> Workload<'_> {
        Workload { trust_domain, cloud: None, service: GATEWAY }
    }

    /// The name it proves: `spiffe://<trust_domain>/<cloud>/<service>`.
    #[must_use]
    pub fn uri(&self) -> String {
        let Self { trust_domain, service, .. } = self;
        self.cloud.map_or_else(
            || format!("spiffe://{trust_domain}/{service}"),
            |cloud| format!("spiffe://{trust_domain}/{cloud}/{service}"),
        )
    }

    /// The host it serves as: `<service>.<cloud>.mandate.internal`.
    #[must_use]
    pub fn host(&self) -> String {
        let service = self.service;
        self.cloud.map_or_else(
            || format!("{service}.mandate.internal"),
            |cloud| format!("{service}.{cloud}.mandate.internal"),
        )
    }

    fn check(&self) -> Result<(), Error> {
        for (part, value) in [("cloud", self.cloud), ("service", Some(self.service))] {
            if let Some(value) = value.filter(|value| !private_file::is_name(value)) {
                return Err(Error::Name { part, value: value.to_owned() });
            }
        }
        let domain = self.trust_domain;
        if domain.len() > TRUST_DOMAIN_LENGTH_MAX || !domain.split('.').all(private_file::is_name) {
            return Err(Error::Name { part: "trust domain", value: domain.to_owned() });
        }
        Ok(())
    }

    /// Workloads without a cloud get a folder of their own name.
    fn folder(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(self.cloud.unwrap_or(self.service))
    }
}

/// What a workload proves itself with.
#[derive(Clone)]
pub struct Identity {
    /// Its certificate.
    pub certificate_pem: String,
    /// Its private key, PKCS#8.
    pub key_pem: String,
    /// The file with the certificate: `<data_dir>/<cloud>/<service>.pem`.
    pub certificate_path: PathBuf,
    /// The file with the key: `<data_dir>/<cloud>/<service>-key.pem`.
    pub key_path: PathBuf,
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key, which must not reach a log.
        formatter
            .debug_struct("Identity")
            .field("certificate_path", &self.certificate_path)
            .field("key_path", &self.key_path)
            .finish_non_exhaustive()
    }
}

/// Certifies workloads.
pub struct Authority {
    data_dir: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: rcgen::Issuer<'static, KeyPair>,
}

impl Authority {
    /// Takes the authority that is in `<data_dir>/authority`, or makes one: when there is none, and
    /// when the one there does not outlive a workload certified at `now` (seconds since 1970).
    ///
    /// # Errors
    ///
    /// When a file is broken or unreadable, or the two files do not belong together.
    pub fn open(data_dir: &Path, now: u64) -> Result<Self, Error> {
        let path = ca_pem_path(data_dir);
        private_file::folder(&data_dir.join(FOLDER))?;
        // A key alone is what a start leaves that was cut off; nothing was certified with it yet.
        let Some(pem) = private_file::read(&path)? else {
            return Self::make(data_dir, now);
        };

        let broken = |problem| Error::Broken { path: path.clone(), problem };
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| broken("holds no certificate"))?;
        let expiry = expiry::of(&certificate).ok_or_else(|| broken("holds a broken certificate"))?;
        let authority = Self { data_dir: data_dir.to_owned(), certificate, issuer: read_issuer(data_dir)? };
        if !authority.certifies(now)? {
            return Err(broken("does not belong to the key beside it"));
        }
        if expiry < now.saturating_add(WORKLOAD_SECONDS) {
            return Self::make(data_dir, now);
        }
        Ok(authority)
    }

    /// The file with the authority's certificate, which every workload trusts.
    #[must_use]
    pub fn ca_pem_path(&self) -> PathBuf {
        ca_pem_path(&self.data_dir)
    }

    /// Certifies a workload for 30 days from `now` (seconds since 1970) on, to serve and to call,
    /// and writes certificate and key where the workload reads them.
    ///
    /// # Errors
    ///
    /// When a name is unusable, or the files cannot be written.
    pub fn issue(&self, workload: &Workload<'_>, now: u64) -> Result<Identity, Error> {
        workload.check()?;
        let (certificate, key) = self.certify(workload, now)?;
        let folder = workload.folder(&self.data_dir);
        let identity = Identity {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate_path: folder.join(format!("{}.pem", workload.service)),
            key_path: folder.join(format!("{}-key.pem", workload.service)),
        };
        private_file::folder(&folder)?;
        private_file::write(&identity.key_path, &identity.key_pem)?;
        private_file::write(&identity.certificate_path, &identity.certificate_pem)?;
        Ok(identity)
    }

    fn make(data_dir: &Path, now: u64) -> Result<Self, Error> {
        let path = ca_pem_path(data_dir);
        let key = KeyPair::generate()?;
        let mut params = authority_params();
        (params.not_before, params.not_after) = validity(now, AUTHORITY_SECONDS)?;
        let certificate = params.self_signed(&key)?;
        // Cut off at any point, this leaves a pair or no certificate, never an old one and a new key.
        private_file::remove(&path)?;
        private_file::write(&key_path(data_dir), &key.serialize_pem())?;
        private_file::write(&path, &certificate.pem())?;
        Ok(Self {
            data_dir: data_dir.to_owned(),
            certificate: certificate.der().clone(),
            issuer: rcgen::Issuer::new(params, key),
        })
    }

    fn certify(&self, workload: &Workload<'_>, now: u64) -> Result<(rcgen::Certificate, KeyPair), Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = validity(now, WORKLOAD_SECONDS)?;
        params.distinguished_name = named(workload.service);
        params.subject_alt_names = vec![
            SanType::URI(Ia5String::try_from(workload.uri())?),
            SanType::DnsName(Ia5String::try_from(workload.host())?),
            SanType::DnsName(Ia5String::try_from("localhost")?),
        ];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok((params.signed_by(&key, &self.issuer)?, key))
    }

    /// Whether whoever trusts our certificate accepts what our key signs.
    fn certifies(&self, now: u64) -> Result<bool, Error> {
        let (probe, _key) = self.certify(&Workload::gateway("probe"), now)?;
        let Ok(anchor) = webpki::anchor_from_trusted_cert(&self.certificate) else {
            return Ok(false);
        };
        let Ok(probe) = webpki::EndEntityCert::try_from(probe.der()) else {
            return Ok(false);
        };
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        let (algorithms, usage) = (&[webpki::aws_lc_rs::ECDSA_P256_SHA256], webpki::KeyUsage::client_auth());
        let anchors = [anchor];
        let path = probe.verify_for_usage(algorithms, &anchors, &[], now, usage, None, None);
        Ok(path.is_ok())
    }
}

fn read_issuer(data_dir: &Path) -> Result<rcgen::Issuer<'static, KeyPair>, Error> {
    let path = key_path(data_dir);
    let Some(pem) = private_file::read(&path)? else {
        return Err(Error::Broken { path, problem: "is missing" });
    };
    match KeyPair::from_pem(&pem) {
        Ok(key) => Ok(rcgen::Issuer::new(authority_params(), key)),
        Err(_) => Err(Error::Broken { path, problem: "holds no private key" }),
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(AUTHORITY_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn validity(now: u64, seconds: u64) -> Result<(OffsetDateTime, OffsetDateTime), Error> {
    let moment = |at: u64| {
        let at = i64::try_from(at).map_err(|_| Error::Time { now })?;
        OffsetDateTime::from_unix_timestamp(at).map_err(|_| Error::Time { now })
    };
    Ok((moment(now.saturating_sub(BACKDATED_SECONDS))?, moment(now.saturating_add(seconds))?))
}

fn ca_pem_path(data_dir: &Path) -> PathBuf {
    data_dir.join(FOLDER).join(AUTHORITY_FILE)
}

fn key_path(data_dir: &Path) -> PathBuf {
    data_dir.join(FOLDER).join(AUTHORITY_KEY_FILE)
}

#[cfg(test)]
mod tests;
