//! Starts [`systems::agentos`].

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    systems::agentos::run().await
}
