//! A mail server of the test's own: takes in whatever comes.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Default)]
pub(super) struct Letters(Arc<Mutex<Vec<String>>>);

impl Letters {
    /// Starts it; its address and what it takes in.
    pub(super) async fn start() -> (String, Self) {
        let letters = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("smtp://{}", listener.local_addr().unwrap());
        let taken = letters.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let letter = take(client).await;
                taken.0.lock().unwrap().push(letter);
            }
        });
        (address, letters)
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Speaks with one client until it leaves; all that it said.
async fn take(client: TcpStream) -> String {
    let (from, mut to) = client.into_split();
    let mut lines = BufReader::new(from).lines();
    let mut said = String::new();
    let mut writes = false;
    to.write_all(b"220 test\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        said.push_str(&line);
        said.push('\n');
        let answer = match line.as_str() {
            "." if writes => "250 taken\r\n",
            _ if writes => continue,
            "DATA" => "354 go on\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "250 test\r\n",
        };
        writes = line == "DATA";
        if to.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
    said
}
