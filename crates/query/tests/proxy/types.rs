//! Public types have the auto traits that servers need, with and without features.

use std::fmt::Debug;

use tower_prometheus_query::{Error, QueryBody, QueryFuture, QueryProxy, QueryProxyBuilder};

fn assert_type<T: Debug + Send + Unpin + 'static>() {}
fn assert_shared<T: Clone + Sync>() {}

#[test]
fn types_have_the_auto_traits_that_servers_need() {
    assert_type::<Error>();
    assert_type::<QueryBody>();
    assert_type::<QueryFuture>();
    assert_type::<QueryProxy>();
    assert_type::<QueryProxyBuilder>();
    assert_shared::<QueryProxy>();
}
