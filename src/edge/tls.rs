//! Our certificate, replaced without a restart when its files change.

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

/// The certificate every handshake uses; replaced whole.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// # Errors
    /// In words: a file that cannot be read, holds nothing usable, or a key that does not belong to the certificate.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, String> {
        read(cert, key).map(|pair| Self(ArcSwap::from_pointee(pair)))
    }

    /// Reads the files again and swaps the pair in.
    ///
    /// # Errors
    /// As [`Certificate::load`]; the pair in use stays.
    pub fn reload(&self, cert: &Path, key: &Path) -> Result<(), String> {
        self.0.store(Arc::new(read(cert, key)?));
        Ok(())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// TLS 1.2 and 1.3, HTTP/2 preferred over HTTP/1.1 by ALPN.
///
/// # Errors
/// When no crypto provider was installed at start.
pub fn server_config(certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, String> {
    let provider = CryptoProvider::get_default().ok_or("no crypto provider was installed")?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(cert: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect);
    let chain = chain.map_err(|error| format!("{}: {error}", cert.display()))?;
    if chain.is_empty() {
        return Err(format!("{}: no certificate in it", cert.display()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
    let provider = CryptoProvider::get_default().ok_or("no crypto provider was installed")?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| {
        format!("{} and {} are no pair: {error}", cert.display(), key.display())
    })
}
