//! The pools, each set up as its own documentation does.

use std::time::Duration;

use bb8::ManageConnection;
use deadpool::managed::{self, Manager, Metrics, RecycleResult, Timeouts};
use evenkeel_io_core::Target;
use evenkeel_pool::{ConnectionPool, ConnectionPoolConfig, PooledConnection};

use super::{Pool, Source};
use crate::Error;
use crate::exchange::TIMEOUT;

/// evenkeel's pool. Its checkout time-out and its statistics can not be switched off.
#[derive(Debug)]
pub struct Evenkeel<S: Source>(ConnectionPool<S::Connection>);

impl<S: Source> Clone for Evenkeel<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Source> Evenkeel<S> {
    /// A pool of at most `max` connections, `min` of them open before this returns.
    ///
    /// # Errors
    /// When it cannot be built.
    pub async fn of(source: S, min: usize, max: usize) -> Result<Self, Error> {
        let failed = |e| Error::contender("evenkeel", e);
        let connect = move |_: Target| {
            let source = source.clone();
            async move { source.make().await }
        };
        let config = ConnectionPoolConfig {
            min_connections: min,
            max_connections: max,
            checkout_timeout: TIMEOUT,
            ..ConnectionPoolConfig::default()
        };
        // The source knows where to go; the pool's own address is a name for it.
        let address = Target::host("source", 1).map_err(|e| Error::contender("label", e))?;
        let pool =
            ConnectionPool::new(connect, [address], config).map_err(|e| Error::contender("evenkeel", e))?;
        pool.warm_up().await.map_err(failed)?;
        Ok(Self(pool))
    }

    /// The pool itself.
    #[must_use]
    pub fn pool(&self) -> &ConnectionPool<S::Connection> {
        &self.0
    }
}

impl<S: Source> Pool for Evenkeel<S> {
    type Connection = S::Connection;
    type Loan = PooledConnection<S::Connection>;

    #[inline]
    async fn checkout(&self) -> Result<Self::Loan, Error> {
        self.0
            .checkout()
            .await
            .map_err(|e| Error::contender("evenkeel", e))
    }

    fn size(&self) -> usize {
        self.0.stats().size
    }
}

/// deadpool's managed pool.
#[derive(Debug)]
pub struct Deadpool<S: Source>(managed::Pool<Trusting<S>>);

impl<S: Source> Clone for Deadpool<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Source> Deadpool<S> {
    /// A pool of at most `max` connections, `min` of them open before this returns. Its default has no
    /// time-outs; with them, waiting, creating and recycling have one each.
    ///
    /// # Errors
    /// When it cannot be built.
    pub async fn of(source: S, min: usize, max: usize, timeouts: bool) -> Result<Self, Error> {
        let failed = |e| Error::contender("deadpool", e);
        let mut builder = managed::Pool::builder(Trusting(source)).max_size(max);
        if timeouts {
            builder = builder.runtime(deadpool::Runtime::Tokio1).timeouts(Timeouts {
                wait: Some(TIMEOUT),
                create: Some(TIMEOUT),
                recycle: Some(TIMEOUT),
            });
        }
        let pool = builder.build().map_err(|e| Error::contender("deadpool", e))?;
        let mut warm = Vec::with_capacity(min);
        for _ in 0..min {
            warm.push(pool.get().await.map_err(|e| failed(e.to_string()))?);
        }
        drop(warm);
        Ok(Self(pool))
    }
}

impl<S: Source> Pool for Deadpool<S> {
    type Connection = S::Connection;
    type Loan = managed::Object<Trusting<S>>;

    #[inline]
    async fn checkout(&self) -> Result<Self::Loan, Error> {
        self.0.get().await.map_err(|e| Error::contender("deadpool", e))
    }

    fn size(&self) -> usize {
        self.0.status().size
    }
}

/// bb8's pool.
#[derive(Debug)]
pub struct Bb8<S: Source>(bb8::Pool<Trusting<S>>);

impl<S: Source> Clone for Bb8<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Source> Bb8<S> {
    /// A pool of at most `max` connections, `min` of them open before this returns. It always has a checkout
    /// time-out; its default calls `is_valid` at each checkout.
    ///
    /// # Errors
    /// When it cannot be built.
    pub async fn of(source: S, min: usize, max: usize, checks: bool) -> Result<Self, Error> {
        let pool = bb8::Pool::builder()
            .max_size(u32::try_from(max).unwrap_or(u32::MAX))
            .min_idle(u32::try_from(min).ok().filter(|&min| min > 0))
            .connection_timeout(TIMEOUT)
            .idle_timeout(Some(Duration::from_secs(55)))
            .test_on_check_out(checks)
            .build(Trusting(source))
            .await?;
        Ok(Self(pool))
    }
}

impl<S: Source> Pool for Bb8<S> {
    type Connection = S::Connection;
    type Loan = bb8::PooledConnection<'static, Trusting<S>>;

    #[inline]
    async fn checkout(&self) -> Result<Self::Loan, Error> {
        self.0.get_owned().await.map_err(|e| Error::contender("bb8", e))
    }

    fn size(&self) -> usize {
        self.0.state().connections as usize
    }
}

/// A source as deadpool and bb8 want it. Every connection is taken to be good, without a look.
#[derive(Debug, Clone)]
pub struct Trusting<S>(S);

impl<S: Source> Manager for Trusting<S> {
    type Type = S::Connection;
    type Error = Error;

    async fn create(&self) -> Result<S::Connection, Error> {
        self.0.make().await
    }

    async fn recycle(&self, _: &mut S::Connection, _: &Metrics) -> RecycleResult<Error> {
        Ok(())
    }
}

impl<S: Source> ManageConnection for Trusting<S> {
    type Connection = S::Connection;
    type Error = Error;

    async fn connect(&self) -> Result<S::Connection, Error> {
        self.0.make().await
    }

    async fn is_valid(&self, _: &mut S::Connection) -> Result<(), Error> {
        Ok(())
    }

    fn has_broken(&self, _: &mut S::Connection) -> bool {
        false
    }
}
