//! Starts [`services::sync_server`].

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    services::sync_server::run().await
}
