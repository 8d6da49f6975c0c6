//! A proxy that loses answers: Flink has done what it was asked, and whoever asked does not hear of it. It can also kill a
//! process at a request, before the request is passed on or when its answer comes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use rustix::process::{Pid, Signal, kill_process};

/// What happens next, at the first request whose line has this in it.
type Armed = Arc<Mutex<Option<(String, Act)>>>;

/// What happens at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Its answer is lost.
    Lose,
    /// This process is killed, and the request is lost.
    Kill(Pid),
    /// This process is killed when it answers, and the answer is lost.
    KillAfter(Pid),
}

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

    /// Acts at the next such request.
    pub(crate) fn at(&self, request: &str, act: Act) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some((request.to_owned(), act));
    }

    /// Whether it came.
    pub(crate) fn has_acted(&self) -> bool {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

fn pass(mut client: TcpStream, target: &str, armed: &Armed) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target)?;
    let losing = Arc::new(Mutex::new(None));
    let (mut answers, mut back, losing_answer) = (server.try_clone()?, client.try_clone()?, losing.clone());
    std::thread::spawn(move || {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(read) = answers.read(&mut piece) {
            let act = *losing_answer.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Act::KillAfter(pid)) = act {
                // One that has ended already is what is wanted.
                let _gone = kill_process(pid, Signal::KILL);
            }
            if read == 0 || act.is_some() || back.write_all(&piece[..read]).is_err() {
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
        if let Some(act) = asked_for(&piece[..read], armed) {
            *losing.lock().unwrap_or_else(PoisonError::into_inner) = Some(act);
            if let Act::Kill(pid) = act {
                kill_process(pid, Signal::KILL)?;
                return client.shutdown(Shutdown::Both);
            }
        }
        server.write_all(&piece[..read])?;
    }
}

/// What is to happen at the request that begins here; it happens once.
fn asked_for(piece: &[u8], armed: &Armed) -> Option<Act> {
    let line = String::from_utf8_lossy(&piece[..piece.len().min(1000)]);
    let line = line.lines().next().unwrap_or_default();
    let mut armed = armed.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, act) =
        armed.take_if(|(request, _)| line.ends_with("HTTP/1.1") && line.contains(request.as_str()))?;
    Some(act)
}
