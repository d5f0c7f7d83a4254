//! Starts [`systems::zerostate`].

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    systems::zerostate::run().await
}
