//! [`BalancedService`]: a balancer as one service.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::context;
use super::error::BoxError;
use super::request_body::RequestBody;
use super::response_body::Tracked;
use super::{Answer, BalancedBody, OwnService, ReplayBody, Route, ServiceError};
use crate::call::FailedAttempts;
use crate::{BackendRef, CallError, Classification, LoadBalancer, Repeat, RequestContext, Retry};

/// How long a request counts as in flight at its backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InFlightUntil {
    /// Until the response's body has ended or was dropped. The default: a backend that streams a long
    /// answer is busy, and a gRPC status in the trailers counts.
    #[default]
    Body,
    /// Until the response's head has come: for streams that stay open for hours and cost nothing.
    Head,
}

pub(super) type Judge = Arc<dyn Fn(Answer<'_>) -> Classification + Send + Sync>;
type Describe = Arc<dyn Fn(&Parts) -> RequestContext<'static> + Send + Sync>;

/// Bodies up to this many bytes are kept by default.
const KEPT: usize = 64 * 1024;

#[derive(Clone)]
struct Settings {
    keep: usize,
    until: InFlightUntil,
    describe: Describe,
    judge: Judge,
}

/// A [`LoadBalancer`] as a service: each request is picked a backend, judged, sent again elsewhere
/// where that is allowed, and hedged, as [`LoadBalancer::call`] does.
///
/// It is `Clone` and always ready, so it needs no `Buffer`: clones are one balancer. Members change
/// underneath, through the `LoadBalancer`.
///
/// `B` is what the backends carry; by default that is the service which takes a request there. `W`
/// makes the body that this service wants from a [`ReplayBody`]. Under a client that tonic generated:
///
/// ```no_run
/// use evenkeel_balancer::{BackendServer, BalancedService, LoadBalancer, LoadBalancerConfig};
/// use tonic::transport::{Channel, Endpoint};
/// use tonic_health::pb::health_client::HealthClient;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut servers = Vec::new();
/// for address in ["http://10.0.0.1:4317", "http://10.0.0.2:4317"] {
///     // Lazily: one that is down now is used when it is up.
///     servers.push(BackendServer::new(address, Endpoint::from_static(address).connect_lazy()));
/// }
/// let balancer = LoadBalancer::new(servers, LoadBalancerConfig::default())?;
/// let service = BalancedService::new(balancer).with_body(tonic::body::Body::new);
/// let client = HealthClient::new(service);
/// # drop(client);
/// # Ok(())
/// # }
/// ```
///
/// # What may be sent again
/// A [`RequestContext`] among the request's extensions says it, with routing key, session and time-out;
/// without, idempotent methods may be repeated, and others, every gRPC call among them, only if no
/// backend can have seen them. [`with_context`](Self::with_context) says otherwise. `grpc-timeout` is
/// the deadline where the context has none.
///
/// The body is kept as [`with_kept_body`](Self::with_kept_body) says. A request whose body was not kept
/// whole is never hedged, and is sent again only if the part that was not kept was not touched.
///
/// # Cancel safety
/// A response's future that is dropped counts as cancelled, and so does a body dropped before its end.
///
/// # Errors
/// [`CallError`], with every backend tried; the error of the last is a [`ServiceError`]. A response
/// that is a failure comes as a response.
pub struct BalancedService<B, R = OwnService, W = fn(ReplayBody) -> ReplayBody> {
    balancer: LoadBalancer<B>,
    route: R,
    wrap: W,
    settings: Settings,
}

impl<B> BalancedService<B> {
    /// Over backends that carry a service each.
    #[must_use]
    pub fn new(balancer: LoadBalancer<B>) -> Self {
        Self::through(balancer, OwnService)
    }
}

impl<B, R> BalancedService<B, R> {
    /// Over backends that `route` knows the way to.
    pub fn through(balancer: LoadBalancer<B>, route: R) -> Self {
        let identity: fn(ReplayBody) -> ReplayBody = |body| body;
        Self {
            balancer,
            route,
            wrap: identity,
            settings: Settings {
                keep: KEPT,
                until: InFlightUntil::default(),
                describe: Arc::new(context::of),
                judge: Arc::new(Classification::of_answer),
            },
        }
    }
}

impl<B, R, W> BalancedService<B, R, W> {
    /// Makes the bodies that the services behind want: `tonic::body::Body::new` for channels. By
    /// default they are handed the [`ReplayBody`] itself.
    #[must_use]
    pub fn with_body<Out, V: Fn(ReplayBody) -> Out>(self, wrap: V) -> BalancedService<B, R, V> {
        BalancedService {
            balancer: self.balancer,
            route: self.route,
            wrap,
            settings: self.settings,
        }
    }

    /// Keeps up to `bytes` of a request's body, to send it again. 64 KiB by default. 0 keeps only
    /// empty bodies: what has one is sent once, unless nobody touched it.
    ///
    /// A body that says how long it is, and is not too long, is waited for; any other is kept as far as
    /// it is there when the request is made.
    #[must_use]
    pub const fn with_kept_body(mut self, bytes: usize) -> Self {
        self.settings.keep = bytes;
        self
    }

    /// Counts requests as in flight until then.
    #[must_use]
    pub const fn with_in_flight_until(mut self, until: InFlightUntil) -> Self {
        self.settings.until = until;
        self
    }

    /// Says of each request what it may, in place of what its extensions or its method do.
    #[must_use]
    pub fn with_context<F>(mut self, describe: F) -> Self
    where
        F: Fn(&Parts) -> RequestContext<'static> + Send + Sync + 'static,
    {
        self.settings.describe = Arc::new(describe);
        self
    }

    /// Judges answers, in place of [`Classification::of_answer`].
    #[must_use]
    pub fn with_judge<F>(mut self, judge: F) -> Self
    where
        F: Fn(Answer<'_>) -> Classification + Send + Sync + 'static,
    {
        self.settings.judge = Arc::new(judge);
        self
    }

    /// The balancer: its members, its statistics.
    #[must_use]
    pub const fn balancer(&self) -> &LoadBalancer<B> {
        &self.balancer
    }
}

/// The response that a [`BalancedService`] will give.
pub type BalancedFuture<ResBody, B> =
    Pin<Box<dyn Future<Output = Result<Response<BalancedBody<ResBody, B>>, CallError<ServiceError>>> + Send>>;

impl<B, R, W, ReqBody, OutBody, ResBody> Service<Request<ReqBody>> for BalancedService<B, R, W>
where
    B: Send + Sync + 'static,
    R: Route<B> + Clone + Send + Sync + 'static,
    R::Service: Service<Request<OutBody>, Response = Response<ResBody>> + Send + 'static,
    <R::Service as Service<Request<OutBody>>>::Error: Into<BoxError>,
    <R::Service as Service<Request<OutBody>>>::Future: Send,
    W: Fn(ReplayBody) -> OutBody + Clone + Send + Sync + 'static,
    ReqBody: Body + Send + 'static,
    ReqBody::Error: Into<BoxError>,
    OutBody: Send + 'static,
    ResBody: Body + Send + 'static,
{
    type Response = Response<BalancedBody<ResBody, B>>;
    type Error = CallError<ServiceError>;
    type Future = BalancedFuture<ResBody, B>;

    /// Always ready: a backend is picked, and asked whether it is ready, with the request in hand.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { service.send(request).await })
    }
}

impl<B, R, W> BalancedService<B, R, W> {
    async fn send<ReqBody, OutBody, ResBody>(
        self,
        request: Request<ReqBody>,
    ) -> Result<Response<BalancedBody<ResBody, B>>, CallError<ServiceError>>
    where
        R: Route<B>,
        R::Service: Service<Request<OutBody>, Response = Response<ResBody>>,
        <R::Service as Service<Request<OutBody>>>::Error: Into<BoxError>,
        W: Fn(ReplayBody) -> OutBody,
        ReqBody: Body + Send + 'static,
        ReqBody::Error: Into<BoxError>,
        ResBody: Body,
    {
        let Self {
            balancer,
            route,
            wrap,
            settings,
        } = self;
        let (head, body) = request.into_parts();
        let mut context = context::with_deadline((settings.describe)(&head), &head.headers);
        let body = RequestBody::keep(body, settings.keep).await;
        let body = body.map_err(|error| CallError::Failed {
            attempts: FailedAttempts::default(),
            source: ServiceError::new(error),
        })?;
        if context.repeat == Repeat::Always && !body.is_whole() {
            context = context.with_repeat(Repeat::IfUnsent);
        }
        let judge = |result: &Result<Response<ResBody>, ServiceError>| {
            let mut classification = (settings.judge)(match result {
                Ok(response) => Answer::Head {
                    status: response.status(),
                    headers: response.headers(),
                },
                Err(error) => Answer::Error(error.get_ref()),
            });
            if body.is_spent() {
                classification.retry = Retry::Never;
            }
            classification
        };
        let attempt = |backend: BackendRef<B>| {
            let mut head = head.clone();
            let mut service = route.route(&backend, &mut head);
            let request = Request::from_parts(head, wrap(body.attempt()));
            async move {
                let ready = poll_fn(|context| service.poll_ready(context)).await;
                ready.map_err(ServiceError::new)?;
                service.call(request).await.map_err(ServiceError::new)
            }
        };
        let (response, pick) = balancer.call_held(&context, &judge, attempt).await?;
        let tracked = pick.map(|pick| Tracked {
            latency: balancer.clock().now().since(pick.started()),
            pick,
            judge: settings.judge.clone(),
        });
        let tracked = match tracked {
            Some(tracked) if settings.until == InFlightUntil::Head || response.body().is_end_stream() => {
                tracked.end();
                None
            }
            tracked => tracked,
        };
        Ok(response.map(|body| BalancedBody::new(body, tracked)))
    }
}

impl<B, R: Clone, W: Clone> Clone for BalancedService<B, R, W> {
    fn clone(&self) -> Self {
        Self {
            balancer: self.balancer.clone(),
            route: self.route.clone(),
            wrap: self.wrap.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<B, R, W> fmt::Debug for BalancedService<B, R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalancedService")
            .field("balancer", &self.balancer)
            .field("keep", &self.settings.keep)
            .field("until", &self.settings.until)
            .finish_non_exhaustive()
    }
}
