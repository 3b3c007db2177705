//! [`Check`]: how a collector is checked.

#[cfg(feature = "grpc-checks")]
use std::sync::Arc;

#[cfg(feature = "grpc-checks")]
use evenkeel::health::{GrpcProbe, GrpcProbeConfig, GrpcProbeError, KeptGrpc};
use evenkeel::health::{Probe, TcpProbe, TcpProbeError};
use evenkeel::io_core::{AsyncIoManager, ConnectError, Target};
use thiserror::Error;

#[cfg(feature = "grpc-checks")]
use super::dial::Connect;
#[cfg(feature = "grpc-checks")]
use crate::{BuildError, Collector, OtlpClientConfig, Protocol};

#[cfg(feature = "grpc-checks")]
pub(super) type GrpcCheck = GrpcProbe<AsyncIoManager>;

/// The probe of one collector.
#[derive(Debug)]
pub(crate) enum Check {
    Tcp(TcpProbe<AsyncIoManager>),
    #[cfg(feature = "grpc-checks")]
    Grpc(Arc<GrpcCheck>),
}

/// What a check says against a collector.
#[derive(Debug, Error)]
pub(crate) enum CheckError {
    #[error(transparent)]
    Tcp(#[from] TcpProbeError<ConnectError>),
    #[cfg(feature = "grpc-checks")]
    #[error(transparent)]
    Grpc(#[from] GrpcProbeError<ConnectError>),
}

impl Probe for Check {
    type Error = CheckError;
    #[cfg(feature = "grpc-checks")]
    type Kept = KeptGrpc;
    #[cfg(not(feature = "grpc-checks"))]
    type Kept = ();

    async fn probe(&self, target: Target, kept: &mut Self::Kept) -> Result<(), CheckError> {
        match self {
            Self::Tcp(probe) => {
                let _ = kept;
                Ok(probe.probe(target, &mut ()).await?)
            }
            #[cfg(feature = "grpc-checks")]
            Self::Grpc(probe) => Ok(probe.probe(target, kept).await?),
        }
    }

    async fn news(&self, kept: &mut Self::Kept) {
        match self {
            Self::Tcp(probe) => {
                let _ = kept;
                probe.news(&mut ()).await;
            }
            #[cfg(feature = "grpc-checks")]
            Self::Grpc(probe) => probe.news(kept).await,
        }
    }
}

/// Asks as requests are sent: over the same kind of connection, with the same headers.
#[cfg(feature = "grpc-checks")]
pub(super) fn grpc(
    collector: &Collector,
    config: &OtlpClientConfig,
    connect: &Connect,
) -> Result<Arc<GrpcCheck>, BuildError> {
    let headers = config.headers.iter().chain(&collector.headers);
    let host = collector.endpoint.authority(Protocol::Grpc);
    let asked = GrpcProbeConfig {
        host: host.ok().map(|authority| authority.to_string()),
        headers: headers
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        https: collector.endpoint.is_tls(),
        ..GrpcProbeConfig::default()
    };
    let probe = GrpcProbe::new(connect.manager().clone(), asked);
    probe.map(Arc::new).map_err(|source| BuildError::HealthCheck {
        id: collector.id(),
        source,
    })
}
