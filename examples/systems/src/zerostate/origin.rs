//! [`Origin`]: a simulated origin server. A request is a line with a content id; the response is a
//! length and the bytes.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

use super::content::checksum;

/// The length that means "not found".
pub const NOT_FOUND: u32 = u32::MAX;

/// Number of contents: of 1 KiB, 2 KiB and so on.
const CONTENTS: usize = 16;

pub struct Origin {
    contents: BTreeMap<String, Bytes>,
}

impl Origin {
    /// Starts the server. Returns its address and the ids of all content.
    pub async fn start() -> io::Result<(SocketAddr, Vec<String>)> {
        let contents = (1..=CONTENTS).map(|n| Bytes::from(vec![n as u8; n * 1024]));
        let contents = contents.map(|content| (checksum(&content), content));
        let origin = Arc::new(Self {
            contents: contents.collect(),
        });
        let ids = origin.contents.keys().cloned().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let origin = Arc::clone(&origin);
                // The error of a broken connection is ignored: the client gets one, too.
                tokio::spawn(async move { origin.serve(stream).await });
            }
        });
        Ok((address, ids))
    }

    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut stream = BufStream::new(stream);
        let mut id = String::new();
        while stream.read_line(&mut id).await? > 0 {
            match self.contents.get(id.trim_end()) {
                Some(content) => {
                    stream.write_u32(content.len() as u32).await?;
                    stream.write_all(content).await?;
                }
                None => stream.write_u32(NOT_FOUND).await?,
            }
            stream.flush().await?;
            id.clear();
        }
        Ok(())
    }
}
