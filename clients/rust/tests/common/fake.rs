//! A server that says what a test wants: as much of the protocol as a stream needs to
//! begin.
#![allow(dead_code)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does with a connection.
#[derive(Clone)]
pub enum Act {
    /// Lets a stream begin, and ends it with this error.
    Fail(&'static str, &'static str),
    /// Accepts, and says nothing.
    Silent,
    /// Lets in, and says nothing more.
    Mute,
    /// Closes it at once.
    Refuse,
    /// Asks to authenticate so: the body of the message.
    Ask(Vec<u8>),
}

pub struct Fake {
    pub port: u16,
    /// Connections that were made.
    pub connections: Arc<AtomicUsize>,
    /// Bytes that came after the startup message.
    pub heard: Arc<AtomicUsize>,
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], &len[..], body].concat()
}

fn row(columns: &[&str]) -> Vec<u8> {
    let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
    for text in columns {
        body.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
    }
    message(b'D', &body)
}

pub fn error(code: &str, text: &str) -> Vec<u8> {
    let fields = format!("SERROR\0VERROR\0C{code}\0M{text}\0Dthe detail\0Hthe hint\0\0");
    message(b'E', fields.as_bytes())
}

async fn incoming(client: &mut TcpStream, tagged: bool) -> std::io::Result<Vec<u8>> {
    if tagged {
        client.read_u8().await?;
    }
    let len = client.read_u32().await? as usize;
    let mut body = vec![0; len.saturating_sub(4)];
    client.read_exact(&mut body).await?;
    Ok(body)
}

impl Fake {
    /// Does with each connection what `act` says of its number, from 0.
    pub async fn start(act: impl Fn(usize) -> Act + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, bytes) = (connections.clone(), heard.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let act = act(count.fetch_add(1, Ordering::Relaxed));
                let bytes = bytes.clone();
                tokio::spawn(async move { serve(client, act, &bytes).await });
            }
        });
        Fake { port, connections, heard }
    }

    pub fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} user=u dbname=d sslmode=disable", self.port)
    }
}

async fn serve(mut client: TcpStream, act: Act, heard: &AtomicUsize) -> std::io::Result<()> {
    match &act {
        Act::Silent => {
            let mut bytes = [0; 1024];
            while client.read(&mut bytes).await? > 0 {}
            return Ok(());
        }
        Act::Refuse => return Ok(()),
        Act::Ask(body) => {
            incoming(&mut client, false).await?;
            client.write_all(&message(b'R', body)).await?;
            let mut bytes = [0; 1024];
            loop {
                let n = client.read(&mut bytes).await?;
                heard.fetch_add(n, Ordering::Relaxed);
                if n == 0 {
                    return Ok(());
                }
            }
        }
        Act::Fail(..) | Act::Mute => (),
    }
    incoming(&mut client, false).await?;
    let ready = message(b'Z', b"I");
    let begin = [message(b'R', &[0; 4]), ready.clone()].concat();
    client.write_all(&begin).await?;
    if matches!(act, Act::Mute) {
        let mut bytes = [0; 1024];
        while client.read(&mut bytes).await? > 0 {}
        return Ok(());
    }
    loop {
        let query = String::from_utf8_lossy(&incoming(&mut client, true).await?).into_owned();
        let answer = match query.as_str() {
            q if q.starts_with("IDENTIFY_SYSTEM") => row(&["7", "1", "0/2000", "d"]),
            q if q.contains("wal_sender_timeout") => row(&["60000"]),
            q if q.contains("pg_replication_slots") => row(&["cdc", "d", "0/1000", "0/1000"]),
            q if q.starts_with("START_REPLICATION") => {
                let Act::Fail(code, text) = &act else { return Ok(()) };
                client.write_all(&message(b'W', &[0, 0, 0])).await?;
                client.write_all(&error(code, text)).await?;
                return Ok(());
            }
            _ => Vec::new(),
        };
        client.write_all(&[answer, message(b'C', b"X\0"), ready.clone()].concat()).await?;
    }
}
