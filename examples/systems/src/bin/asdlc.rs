//! Starts [`systems::asdlc`].

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    systems::asdlc::run().await
}
