//! TLS for a manager's connections, by rustls with ring.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::Target;
use crate::socket::Socket;

/// Whom to trust, who to be and what to speak. Plain data; [`TlsClient::new`] checks it.
///
/// ```no_run
/// use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager, Pem, TlsClient, TlsConfig, TlsRoots};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = TlsClient::new(&TlsConfig {
///     roots: TlsRoots::Pem(Pem::File("/etc/collector/ca.pem".into())),
///     alpn: vec!["h2".into()],
///     ..TlsConfig::default()
/// })?;
/// let manager = AsyncIoManager::builder(AsyncIoConfig::default()).tls(tls).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct TlsConfig {
    /// Whose signature under the server's certificate counts. Default: the system's roots.
    pub roots: TlsRoots,
    /// The certificate to show when the server asks for one. Default: none.
    pub client_auth: Option<ClientAuth>,
    /// Protocols to offer by ALPN, the preferred one first (`"h2"`, `"http/1.1"`). Default: none.
    pub alpn: Vec<String>,
    /// The name to ask for and to find in the certificate. Default: the target's host name or
    /// address; a Unix socket has neither and needs one.
    pub server_name: Option<String>,
}

/// Where trust starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum TlsRoots {
    /// The operating system's store.
    #[default]
    System,
    /// These certificates and no others.
    Pem(Pem),
}

/// Our own certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct ClientAuth {
    /// The certificate, followed by those between it and a root.
    pub certificates: Pem,
    /// Its private key.
    pub key: Pem,
}

/// PEM text, or the file it is in, which is read once, when the client is built.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Pem {
    /// A file's path.
    File(PathBuf),
    /// The text itself.
    Text(String),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            // It may be a private key.
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

impl Pem {
    fn read(&self, field: &'static str) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::File(path) => std::fs::read(path).map_err(|source| TlsError::Read {
                field,
                path: path.clone(),
                source,
            }),
            Self::Text(text) => Ok(text.clone().into_bytes()),
        }
    }

    fn certificates(&self, field: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&self.read(field)?)
            .collect::<Result<_, _>>()
            .map_err(|source| TlsError::refused(field, source))?;
        if certificates.is_empty() {
            return Err(TlsError::refused(field, "no certificate in it"));
        }
        Ok(certificates)
    }
}

/// Why a [`TlsConfig`] can not be used. Names the field.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read.
    #[error("{field}: {}: {source}", path.display())]
    Read {
        /// The field that names the file.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is there makes no sense.
    #[error("{field}: {source}")]
    Refused {
        /// The field.
        field: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl TlsError {
    fn refused(field: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Refused {
            field,
            source: source.into(),
        }
    }
}

/// A checked [`TlsConfig`], ready for [`AsyncIoManagerBuilder::tls`](crate::AsyncIoManagerBuilder::tls).
/// Clones share the memory of past sessions, by which a server known already is greeted faster.
#[derive(Clone)]
pub struct TlsClient {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

impl TlsClient {
    /// Reads the files, checks the certificates and the names. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the field.
    pub fn new(config: &TlsConfig) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots(&config.roots)?.into(), provider.clone())
                .build()
                .map_err(|source| TlsError::refused("roots", source))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::refused("roots", source))?
            .with_webpki_verifier(verifier);

        let mut client = match &config.client_auth {
            None => builder.with_no_client_auth(),
            Some(auth) => {
                let certificates = auth.certificates.certificates("client_auth.certificates")?;
                let key = PrivateKeyDer::from_pem_slice(&auth.key.read("client_auth.key")?)
                    .map_err(|source| TlsError::refused("client_auth.key", source))?;
                builder
                    .with_client_auth_cert(certificates, key)
                    .map_err(|source| TlsError::refused("client_auth", source))?
            }
        };
        if config
            .alpn
            .iter()
            .any(|protocol| protocol.is_empty() || protocol.len() > 255)
        {
            return Err(TlsError::refused(
                "alpn",
                "a protocol's name has from 1 to 255 bytes",
            ));
        }
        client.alpn_protocols = config
            .alpn
            .iter()
            .map(|protocol| protocol.clone().into_bytes())
            .collect();

        let server_name = config
            .server_name
            .clone()
            .map(ServerName::try_from)
            .transpose()
            .map_err(|source| TlsError::refused("server_name", source))?;
        Ok(Self {
            connector: Arc::new(client).into(),
            server_name,
        })
    }

    /// Agrees on TLS over `socket` as a client of `target`.
    pub(crate) async fn handshake(&self, target: &Target, socket: Socket) -> io::Result<TlsStream<Socket>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => name_of(target)?,
        };
        self.connector.connect(name, socket).await
    }
}

fn roots(roots: &TlsRoots) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    match roots {
        TlsRoots::Pem(pem) => {
            for certificate in pem.certificates("roots")? {
                store
                    .add(certificate)
                    .map_err(|source| TlsError::refused("roots", source))?;
            }
        }
        TlsRoots::System => {
            let found = rustls_native_certs::load_native_certs();
            let unreadable = found.errors.into_iter().next();
            // A store may hold certificates that are too old to parse; the others still count.
            let (usable, _) = store.add_parsable_certificates(found.certs);
            if usable == 0 {
                return Err(match unreadable {
                    Some(error) => TlsError::refused("roots", error),
                    None => TlsError::refused("roots", "the system's store holds no certificate"),
                });
            }
        }
    }
    Ok(store)
}

fn name_of(target: &Target) -> io::Result<ServerName<'static>> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidInput, reason);
    if let Some(address) = target.as_addr() {
        return Ok(ServerName::from(address.ip()));
    }
    match target.host_name() {
        Some(name) => ServerName::try_from(name.to_owned())
            .map_err(|error: rustls::pki_types::InvalidDnsNameError| invalid(error.to_string())),
        None => Err(invalid(
            "a Unix socket has no name to check: set server_name".to_owned(),
        )),
    }
}
