//! A TCP proxy that cuts what runs through it.

use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A way to the broker that can be cut.
pub(super) struct Proxy {
    pub(super) url: String,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A way to the server of `url`.
    pub(super) async fn to(url: &str) -> Self {
        let (credentials, rest) = url.rsplit_once('@').unwrap();
        let (server, vhost) = rest.split_once('/').unwrap();
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<Mutex<Vec<JoinHandle<()>>>>::default();
        let kept = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let server = server.clone();
                let carried = tokio::spawn(async move {
                    if let Ok(mut upstream) = TcpStream::connect(server).await {
                        // However it ends: that is what is tested.
                        drop(tokio::io::copy_bidirectional(&mut client, &mut upstream).await);
                    }
                });
                kept.lock().unwrap().push(carried);
            }
        });
        Self {
            url: format!("{credentials}@{address}/{vhost}"),
            connections,
            accepting,
        }
    }

    /// Cuts every connection; says how many there were.
    pub(super) fn cut(&self) -> usize {
        let cut: Vec<_> = self.connections.lock().unwrap().drain(..).collect();
        let alive = cut.iter().filter(|connection| !connection.is_finished());
        let count = alive.count();
        for connection in cut {
            connection.abort();
        }
        count
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}
