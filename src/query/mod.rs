//! The PromQL proxy that a dashboard's front end talks to.
//!
//! x

mod address;
mod body;
mod builder;
mod connector;
mod credentials;
mod forced;
mod future;
mod problem;
mod proxy;
mod range_query;
mod route;
mod services;
mod slot;
mod time;
mod upstream;

pub use self::body::QueryBody;
pub use self::builder::QueryProxyBuilder;
pub use self::future::QueryFuture;
pub use self::proxy::QueryProxy;
