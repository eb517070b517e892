//! Which service is at the other end of a connection, by the SPIFFE name in its certificate.
//!
//! The TLS handshake has verified the certificate against our authority before anything here looks at it.

use rustls::pki_types::CertificateDer;

/// The service that works for no cloud alone.
const GATEWAY: &str = "gateway";

/// A service as its certificate names it: `spiffe://<trust domain>/<cloud>/<service>`, or `spiffe://<trust domain>/gateway`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    cloud: Option<String>,
    service: String,
}

impl Workload {
    /// The service with this certificate, when it names exactly one, of this trust domain.
    pub(crate) fn of(certificate: &CertificateDer<'_>, trust_domain: &str) -> Option<Workload> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let mut names = certificate.valid_uri_names();
        // SPIFFE asks for exactly one name: which of two would be meant?
        let (Some(name), None) = (names.next(), names.next()) else {
            return None;
        };
        Workload::parse(name, trust_domain)
    }

    fn parse(name: &str, trust_domain: &str) -> Option<Workload> {
        let path = name.strip_prefix("spiffe://")?.strip_prefix(trust_domain)?;
        let mut segments = path.strip_prefix('/')?.split('/');
        let first = segments.next().filter(|segment| !segment.is_empty())?;
        match (segments.next(), segments.next()) {
            (None, None) if first == GATEWAY => Some(Workload { cloud: None, service: GATEWAY.to_owned() }),
            (Some(service), None) if !service.is_empty() => {
                Some(Workload { cloud: Some(first.to_owned()), service: service.to_owned() })
            }
            (Some(_) | None, Some(_) | None) => None,
        }
    }

    /// True for a service of this cloud with one of these names.
    pub(crate) fn is_one_of(&self, services: &[&str], cloud: &str) -> bool {
        self.cloud.as_deref() == Some(cloud) && services.contains(&self.service.as_str())
    }

    /// True for whoever may bring public calls: the gateway, and any service of the same cloud.
    pub(crate) fn may_bring_calls(&self, cloud: &str) -> bool {
        self.cloud.as_deref().is_none_or(|of| of == cloud)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Option<Workload> {
        Workload::parse(name, "mandate.internal")
    }

    #[test]
    fn a_service_is_of_its_cloud_alone() {
        let workload = parse("spiffe://mandate.internal/public/invitation").unwrap();
        assert!(workload.is_one_of(&["notification", "invitation"], "public"));
        assert!(!workload.is_one_of(&["invitation"], "china"));
        assert!(!workload.is_one_of(&["relationship"], "public"));
        assert!(workload.may_bring_calls("public") && !workload.may_bring_calls("china"));
    }

    #[test]
    fn the_gateway_brings_calls_to_every_cloud_and_is_no_service_of_any() {
        let gateway = parse("spiffe://mandate.internal/gateway").unwrap();
        assert!(gateway.may_bring_calls("public") && gateway.may_bring_calls("china"));
        assert!(!gateway.is_one_of(&["gateway"], "public"));
    }

    #[test]
    fn other_names_name_no_service() {
        for name in [
            "",
            "spiffe://mandate.internal",
            "spiffe://mandate.internal/",
            "spiffe://mandate.internal/invitation",
            "spiffe://mandate.internal//invitation",
            "spiffe://mandate.internal/public/",
            "spiffe://mandate.internal/public/invitation/more",
            "spiffe://mandate.internal.evil/public/invitation",
            "spiffe://elsewhere/public/invitation",
            "https://mandate.internal/public/invitation",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
