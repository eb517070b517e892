//! The two faces of the gateway: what it shows to callers, and what it shows to the services of a cloud.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use server::StartError;
use server::config::Tls;
use server::peer::PeerSettings;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::config::PublicTls;

/// How long each of the two steps of connecting may take, TCP and TLS.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a service is asked whether it is still there, and how long it has to say so.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How callers are met: no certificate is asked of them, since their credential says who they are.
pub(crate) fn public(files: &PublicTls) -> Result<Arc<rustls::ServerConfig>, StartError> {
    let refuse =
        |key: &str, path: &Path, why: String| StartError::new(format!("public_tls.{key}: {}: {why}", path.display()));
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refuse("certificate", &files.certificate, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| refuse("key", &files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse("certificate", &files.certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| refuse("certificate", &files.certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// How a service of a cloud is reached. `key` names its place in the configuration.
pub(crate) fn endpoint(peer: &PeerSettings, tls: Option<&Tls>, key: &str) -> Result<Endpoint, StartError> {
    let refuse = |error: tonic::transport::Error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        StartError::new(format!("{key}: {error}{cause}"))
    };
    let endpoint = Endpoint::from_shared(peer.uri.clone())
        .map_err(refuse)?
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .tcp_nodelay(true);
    let Some(tls) = tls.filter(|_| endpoint.uri().scheme_str() == Some("https")) else {
        return Ok(endpoint);
    };
    let certificate = read("tls.certificate", &tls.certificate)?;
    let private = read("tls.key", &tls.key)?;
    let authority = read("tls.authority", &tls.authority)?;
    let mut client = ClientTlsConfig::new()
        .identity(Identity::from_pem(certificate, private))
        .ca_certificate(Certificate::from_pem(authority))
        // The endpoint's own timeout ends where TLS begins.
        .timeout(CONNECT);
    if let Some(name) = &peer.server_name {
        client = client.domain_name(name);
    }
    endpoint.tls_config(client).map_err(refuse)
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|error| StartError::new(format!("{key}: {}: {error}", path.display())))
}
