//! A proxy that loses answers: Flink has done what it was asked, and whoever asked does not hear of it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

/// What is lost next: the answer to the first request whose line has this in it.
type Armed = Arc<Mutex<Option<String>>>;

/// The proxy; its threads end with the process.
pub(crate) struct Proxy {
    /// Its address.
    pub(crate) url: String,
    armed: Armed,
}

impl Proxy {
    /// Before the REST interface at `url`.
    pub(crate) fn before(url: &str) -> Result<Self> {
        let target = url.strip_prefix("http://").context("the address is http")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let own = format!("http://{}", listener.local_addr()?);
        let armed = Armed::default();
        let shared = armed.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, armed) = (target.clone(), shared.clone());
                // A connection that breaks is what this is for.
                std::thread::spawn(move || drop(pass(client, &target, &armed)));
            }
        });
        Ok(Self { url: own, armed })
    }

    /// Loses the next answer to such a request.
    pub(crate) fn lose(&self, request: &str) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.to_owned());
    }

    /// Whether it was lost.
    pub(crate) fn has_lost(&self) -> bool {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

fn pass(mut client: TcpStream, target: &str, armed: &Armed) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target)?;
    let losing = Arc::new(Mutex::new(false));
    let (mut answers, mut back, losing_answer) = (server.try_clone()?, client.try_clone()?, losing.clone());
    std::thread::spawn(move || {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(read) = answers.read(&mut piece) {
            let loses = *losing_answer.lock().unwrap_or_else(PoisonError::into_inner);
            if read == 0 || loses || back.write_all(&piece[..read]).is_err() {
                break;
            }
        }
        // Either end may be gone before.
        let _gone = (answers.shutdown(Shutdown::Both), back.shutdown(Shutdown::Both));
    });
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = client.read(&mut piece)?;
        if read == 0 {
            return server.shutdown(Shutdown::Write);
        }
        if is_asked_for(&piece[..read], armed) {
            *losing.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        server.write_all(&piece[..read])?;
    }
}

/// Whether a request begins here whose answer is to be lost; only one is.
fn is_asked_for(piece: &[u8], armed: &Armed) -> bool {
    let line = String::from_utf8_lossy(&piece[..piece.len().min(1000)]);
    let line = line.lines().next().unwrap_or_default();
    let mut armed = armed.lock().unwrap_or_else(PoisonError::into_inner);
    let is =
        armed.as_ref().is_some_and(|request| line.ends_with("HTTP/1.1") && line.contains(request.as_str()));
    if is {
        *armed = None;
    }
    is
}
