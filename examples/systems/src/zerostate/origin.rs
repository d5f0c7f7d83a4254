//! [`Origin`]: where contents come from, a server that is asked by a line and answers by a length and so many bytes.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

use super::content::checksum;

/// The length of what is not there.
pub const NOTHING: u32 = u32::MAX;

/// Contents, of 1 KiB, 2 KiB and so on.
const CONTENTS: usize = 16;

pub struct Origin {
    contents: BTreeMap<String, Bytes>,
}

impl Origin {
    /// Begins to serve, and gives the ids of what there is.
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
                // A connection that breaks is its client's to notice.
                tokio::spawn(async move { origin.answer(stream).await });
            }
        });
        Ok((address, ids))
    }

    async fn answer(&self, stream: TcpStream) -> io::Result<()> {
        let mut stream = BufStream::new(stream);
        let mut id = String::new();
        while stream.read_line(&mut id).await? > 0 {
            match self.contents.get(id.trim_end()) {
                Some(content) => {
                    stream.write_u32(content.len() as u32).await?;
                    stream.write_all(content).await?;
                }
                None => stream.write_u32(NOTHING).await?,
            }
            stream.flush().await?;
            id.clear();
        }
        Ok(())
    }
}
