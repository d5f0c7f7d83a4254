//! Starts [`services::package_index`].

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    services::package_index::run().await
}
