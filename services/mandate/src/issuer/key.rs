//! One cloud's signing key: on disk, in a token's signature, and in public.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::{Claims, Error};
use crate::private_file;

const FILE_NAME: &str = "issuer.pem";
const ID_BYTES: usize = 16;

pub(super) struct Key {
    header: Header,
    private: EncodingKey,
    public: JwkSet,
}

impl Key {
    /// Takes the key that is in the folder, or puts a new one there.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        private_file::folder(folder)?;
        let path = folder.join(FILE_NAME);
        let pem = if let Some(kept) = private_file::read(&path)? {
            kept
        } else {
            let made = rcgen::KeyPair::generate().map_err(|_| Error::Randomness)?.serialize_pem();
            private_file::write(&path, &made)?;
            made
        };
        Self::parse(&pem).map_err(|source| Error::BrokenKey { path, source })
    }

    fn parse(pem: &str) -> Result<Self, jsonwebtoken::errors::Error> {
        let private = EncodingKey::from_ec_pem(pem.as_bytes())?;
        let mut public = Jwk::from_encoding_key(&private, Algorithm::ES256)?;
        let id = public.thumbprint(ThumbprintHash::SHA256)?;
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);

        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(id);
        Ok(Self { header, private, public: JwkSet { keys: vec![public] } })
    }

    pub(super) fn public(&self) -> &JwkSet {
        &self.public
    }

    pub(super) fn sign(&self, claims: &Claims<'_>) -> Result<String, Error> {
        jsonwebtoken::encode(&self.header, claims, &self.private).map_err(Error::Sign)
    }
}

/// An id that no other token has.
pub(super) fn random_id() -> Result<String, Error> {
    let mut bytes = [0; ID_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Randomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
