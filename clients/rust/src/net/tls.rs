//! TLS by rustls, with ring.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::{
    ring, verify_tls12_signature, verify_tls13_signature, CryptoProvider, WebPkiSupportedAlgorithms,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime,
};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};
use tokio_rustls::TlsConnector;

use super::config::{ConnectConfig, SslMode};
use super::demands::tls_versions;
use super::hosts::Host;
use crate::base::error::Error;

/// Where systems keep their root certificates; SSL_CERT_FILE comes first.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

fn config(error: impl std::fmt::Display, path: &Path) -> Error {
    Error::Config(format!("{}: {error}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| config(error, path))
}

/// What authorities have taken back.
fn revocations(c: &ConnectConfig) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let mut files: Vec<_> = c.tls.crl.clone().into_iter().collect();
    if let Some(directory) = &c.tls.crl_dir {
        let entries = std::fs::read_dir(directory).map_err(|error| config(error, directory))?;
        for entry in entries {
            files.push(entry?.path());
        }
    }
    let mut lists = Vec::new();
    for file in files {
        let read = CertificateRevocationListDer::pem_file_iter(&file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| config(error, &file))?;
        if read.is_empty() {
            return Err(config("no revocation list in it", &file));
        }
        lists.extend(read);
    }
    Ok(lists)
}

/// A key that others can read is none. (The administrator's may be read by a group.)
fn check_key(path: &Path) -> Result<(), Error> {
    let data = std::fs::metadata(path).map_err(|error| config(error, path))?;
    let open = if data.uid() == 0 { 0o037 } else { 0o077 };
    if data.mode() & open != 0 {
        return Err(config("others can read this key; its mode should be 0600", path));
    }
    Ok(())
}

fn roots(path: &Path) -> Result<Arc<RootCertStore>, Error> {
    let file = match path.to_str() {
        Some("system") => match std::env::var_os("SSL_CERT_FILE") {
            Some(file) => file.into(),
            None => SYSTEM
                .iter()
                .map(Path::new)
                .find(|path| path.exists())
                .ok_or_else(|| Error::Config("the system has no root certificates".into()))?
                .to_owned(),
        },
        _ => path.to_owned(),
    };
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates(&file)?);
    if added == 0 {
        return Err(config("no certificate in it", &file));
    }
    Ok(Arc::new(store))
}

/// How a certificate is looked at below `verify-full`.
#[derive(Debug)]
struct Lenient {
    /// Whether an authority must have signed it.
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // the chain was found to be in order before the name was looked at
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

impl Lenient {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

fn verifier(
    c: &ConnectConfig,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let verifies = matches!(c.sslmode, SslMode::VerifyCa | SslMode::VerifyFull);
    let authority = match &c.sslrootcert {
        Some(path) if verifies || c.sslmode == SslMode::Require => {
            let mut builder =
                WebPkiServerVerifier::builder_with_provider(roots(path)?, provider.clone());
            let lists = revocations(c)?;
            if !lists.is_empty() {
                builder = builder.with_crls(lists).enforce_revocation_expiration();
            }
            Some(builder.build().map_err(|error| config(error, path))?)
        }
        None if verifies => {
            return Err(Error::Config(
                "sslmode verify-ca and verify-full need sslrootcert (a file, or \"system\")".into(),
            ))
        }
        _ => None,
    };
    match (authority, c.sslmode) {
        (Some(authority), SslMode::VerifyFull) => Ok(authority),
        (authority, _) => Ok(Arc::new(Lenient { authority, provider: provider.clone() })),
    }
}

/// What makes TLS of a socket, and the name that the server must have.
pub(super) fn connector(
    c: &ConnectConfig,
    host: &Host,
) -> Result<(TlsConnector, ServerName<'static>), Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&tls_versions(c.tls.min, c.tls.max)?)
        .map_err(|error| Error::Config(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(c, &provider)?);
    let mut tls = match (&c.sslcert, &c.sslkey) {
        (Some(cert), Some(key)) if c.tls.show => {
            check_key(key)?;
            let chain = certificates(cert)?;
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| config(error, key))?;
            builder.with_client_auth_cert(chain, key_der).map_err(|error| config(error, cert))?
        }
        _ => builder.with_no_client_auth(),
    };
    tls.enable_sni = c.tls.sni;
    tls.alpn_protocols = vec![b"postgresql".to_vec()];
    let host = host.verified_name();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Error::Config(format!("\"{host}\" is not a host's name")))?;
    Ok((TlsConnector::from(Arc::new(tls)), name))
}
