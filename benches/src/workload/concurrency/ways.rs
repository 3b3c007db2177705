//! The contenders: each chooses among one pool for each backend. All dial with plain tokio, and all connections
//! are open before anything is timed.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use evenkeel_balancer::{BackendServer, LoadBalancer, LoadBalancerConfig, Outcome, RequestContext};
use parking_lot::Mutex;
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequestsDiscover};
use tower::{BoxError, Service, ServiceExt};

use super::Way;
use crate::Error;
use crate::exchange::{Buffers, exchange};
use crate::pools::{Bb8, Deadpool, Evenkeel, Pool};
use crate::workload::RawTokio;

async fn borrow_and_exchange<P>(pool: &P, mut buffers: Buffers, tag: u64) -> Result<Buffers, Error>
where
    P: Pool,
    P::Connection: crate::exchange::Exchange,
{
    let mut loan = pool.checkout().await?;
    exchange(&mut *loan, &mut buffers, tag).await?;
    Ok(buffers)
}

/// `evenkeel-balancer` over pools of `evenkeel-pool`, both by default.
#[derive(Clone)]
pub(super) struct Ours(LoadBalancer<Evenkeel<RawTokio>>);

impl Ours {
    pub(super) async fn over(to: &[SocketAddr], most: usize) -> Result<Self, Error> {
        let mut servers = Vec::new();
        for &address in to {
            let pool = Evenkeel::of(RawTokio::to(address), most, most).await?;
            servers.push(BackendServer::new(address.to_string(), pool));
        }
        let balancer = LoadBalancer::new(servers, LoadBalancerConfig::default());
        Ok(Self(balancer.map_err(|e| Error::contender("evenkeel", e))?))
    }
}

impl Way for Ours {
    async fn operate(&mut self, buffers: Buffers, tag: u64) -> Result<Buffers, Error> {
        let pick = self.0.pick(&RequestContext::new());
        let pick = pick.map_err(|e| Error::contender("evenkeel", e))?;
        let buffers = borrow_and_exchange(pick.payload(), buffers, tag).await?;
        pick.finish(Outcome::Success);
        Ok(buffers)
    }
}

/// Round robin behind a mutex, over pools of deadpool: what people write by hand.
#[derive(Clone)]
pub(super) struct MutexDeadpool(Arc<Mutex<InTurn>>);

struct InTurn {
    next: usize,
    pools: Vec<Deadpool<RawTokio>>,
}

impl MutexDeadpool {
    pub(super) async fn over(to: &[SocketAddr], most: usize) -> Result<Self, Error> {
        let mut pools = Vec::new();
        for &address in to {
            pools.push(Deadpool::of(RawTokio::to(address), most, most, true).await?);
        }
        Ok(Self(Arc::new(Mutex::new(InTurn { next: 0, pools }))))
    }
}

impl Way for MutexDeadpool {
    async fn operate(&mut self, buffers: Buffers, tag: u64) -> Result<Buffers, Error> {
        let pool = {
            let mut turn = self.0.lock();
            turn.next = (turn.next + 1) % turn.pools.len();
            turn.pools[turn.next].clone()
        };
        borrow_and_exchange(&pool, buffers, tag).await
    }
}

type Balanced = Balance<PendingRequestsDiscover<ServiceList<Vec<Backend>>>, Operation>;
type Done = Pin<Box<dyn Future<Output = Result<Buffers, BoxError>> + Send>>;

/// tower's p2c by pending requests over pools of bb8, in a `Buffer`, because it is shared.
#[derive(Clone)]
pub(super) struct TowerBb8(Buffer<Operation, <Balanced as Service<Operation>>::Future>);

struct Operation {
    buffers: Buffers,
    tag: u64,
}

struct Backend(Bb8<RawTokio>);

impl Service<Operation> for Backend {
    type Response = Buffers;
    type Error = BoxError;
    type Future = Done;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, operation: Operation) -> Done {
        let pool = self.0.clone();
        Box::pin(async move {
            let Operation { buffers, tag } = operation;
            Ok(borrow_and_exchange(&pool, buffers, tag).await?)
        })
    }
}

impl TowerBb8 {
    pub(super) async fn over(to: &[SocketAddr], most: usize) -> Result<Self, Error> {
        let mut backends = Vec::new();
        for &address in to {
            backends.push(Backend(Bb8::of(RawTokio::to(address), most, most, true).await?));
        }
        let list = ServiceList::new::<Operation>(backends);
        let balanced = Balance::new(PendingRequestsDiscover::new(list, CompleteOnResponse::default()));
        Ok(Self(Buffer::new(balanced, 1024)))
    }
}

impl Way for TowerBb8 {
    async fn operate(&mut self, buffers: Buffers, tag: u64) -> Result<Buffers, Error> {
        let failed = |e: BoxError| Error::contender("tower-bb8", e);
        let ready = self.0.ready().await.map_err(failed)?;
        ready.call(Operation { buffers, tag }).await.map_err(failed)
    }
}
