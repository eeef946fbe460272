//! Our certificate. A change of its files makes a new configuration, and new connections take the new one.

use pingora::listeners::tls::Acceptor;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Terminates TLS 1.2 and 1.3, with HTTP/2 preferred over HTTP/1.1 by ALPN.
pub struct TlsFront(pub(super) Acceptor);

impl TlsFront {
    /// Reads certificate chain and key, both PEM, leaf first.
    ///
    /// # Errors
    /// In words: a file that cannot be read, holds nothing usable, or a key that does not belong to the certificate.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, String> {
        let provider = CryptoProvider::get_default().ok_or("no crypto provider was installed")?;
        let pair = read(cert, key, provider)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Acceptor::from_server_config(Arc::new(config))))
    }
}

impl fmt::Debug for TlsFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsFront(..)")
    }
}

fn read(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect);
    let chain = chain.map_err(|error| format!("{}: {error}", cert.display()))?;
    if chain.is_empty() {
        return Err(format!("{}: no certificate in it", cert.display()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
    CertifiedKey::from_der(chain, private, provider)
        .map_err(|error| format!("{} and {} are no pair: {error}", cert.display(), key.display()))
}
