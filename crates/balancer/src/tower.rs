//! A balancer as a [`tower_service::Service`]: under tonic's generated clients, under hyper, anywhere
//! in a stack of tower layers. All of it speaks HTTP requests and responses.

mod answer;
mod context;
mod error;
mod layer;
mod replay_body;
mod request_body;
mod response_body;
mod route;
mod service;

pub use answer::Answer;
pub use error::ServiceError;
pub use layer::BalanceLayer;
pub use replay_body::ReplayBody;
pub use response_body::BalancedBody;
pub use route::{OwnService, Route, Through};
pub use service::{BalancedFuture, BalancedService, InFlightUntil};
