//! Starts [`systems::openclaw`].

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    systems::openclaw::run().await
}
