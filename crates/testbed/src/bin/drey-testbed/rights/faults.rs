//! What befalls an operator that had all of its rights: they are revoked, its account is deleted, the cluster is away when
//! it starts. It says so, acts on nothing, and goes on when it is over.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use drey_testbed::kube::Kube;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::account::Account;
use super::operator::Operator;
use super::{LOOK, NAME, PATIENCE, Progress, World, make};

/// All of them.
pub(super) async fn all(world: &World<'_>) -> Vec<(&'static str, Result<String>)> {
    vec![
        ("all rights revoked while it runs", rights_revoked(world).await),
        ("account deleted while it runs", account_deleted(world).await),
        ("cluster away at the start", cluster_away(world).await),
    ]
}

async fn equipped(world: &World<'_>, namespace: &str) -> Result<Account> {
    let account = Account::make(world.kube, namespace, &world.directory.join(namespace)).await?;
    account.give(None).await?;
    Ok(account)
}

/// An operator that runs a FlinkDeployment.
async fn at_work(world: &World<'_>, account: &Account) -> Result<Operator> {
    let mut operator = Operator::start(world.drey, account, false).await?;
    make(&world.kube.client(), account.namespace(), NAME).await?;
    until_started(world, account, &mut operator, NAME).await?;
    Ok(operator)
}

async fn rights_revoked(world: &World<'_>) -> Result<String> {
    let account = equipped(world, "revoked").await?;
    let mut operator = at_work(world, &account).await?;
    account.take_all().await?;
    make(&world.kube.client(), account.namespace(), "later").await?;
    let said = until_blind(&mut operator).await?;
    account.give(None).await?;
    recovers(world, &account, operator, "later").await?;
    Ok(said)
}

async fn account_deleted(world: &World<'_>) -> Result<String> {
    let account = equipped(world, "deleted").await?;
    let mut operator = at_work(world, &account).await?;
    account.delete().await?;
    make(&world.kube.client(), account.namespace(), "later").await?;
    let said = until_blind(&mut operator).await?;
    // The roles name the account, whichever it is.
    account.renew().await?;
    recovers(world, &account, operator, "later").await?;
    Ok(said)
}

async fn cluster_away(world: &World<'_>) -> Result<String> {
    let account = equipped(world, "away").await?;
    // The port is nobody's for as long as the listener has not been made again.
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    account.reach_by(port)?;
    let mut operator = Operator::start_anyhow(world.drey, &account, false)?;
    let said = until_blind(&mut operator).await?;
    let _forwarder = Forwarder::start(port, world.kube).await?;
    make(&world.kube.client(), account.namespace(), "later").await?;
    recovers(world, &account, operator, "later").await?;
    Ok(said)
}

/// Waits until it says that it is not ready, or ends with an error that is not a crash; its words.
async fn until_blind(operator: &mut Operator) -> Result<String> {
    let began = Instant::now();
    loop {
        if let Some(code) = operator.exit_code()? {
            let log = operator.log()?;
            ensure!(!log.contains("panicked"), "it crashed: {}", operator.log_tail()?);
            let error =
                log.lines().rfind(|line| line.starts_with("error: ")).context("it ends without a word")?;
            return Ok(format!("ends with {code}: {error}"));
        }
        if let Some(why) = operator.not_ready().await.filter(|why| why != "no answer") {
            return Ok(format!("/readyz: {why}"));
        }
        ensure!(began.elapsed() < PATIENCE, "it says nothing\n{}", operator.log_tail()?);
        tokio::time::sleep(LOOK).await;
    }
}

/// It works again: by itself, or when it is started again as in a pod.
async fn recovers(world: &World<'_>, account: &Account, mut operator: Operator, name: &str) -> Result<()> {
    until_started(world, account, &mut operator, name).await.context("it does not recover")?;
    let log = operator.log()?;
    ensure!(!log.contains("panicked"), "it crashed: {}", operator.log_tail()?);
    operator.stop().await
}

async fn until_started(
    world: &World<'_>,
    account: &Account,
    operator: &mut Operator,
    name: &str,
) -> Result<()> {
    let began = Instant::now();
    loop {
        if operator.exit_code()?.is_some() {
            *operator = Operator::start(world.drey, account, false).await?;
        }
        let progress = Progress::of(&world.kube.client(), account.namespace(), name).await?;
        if progress.has_cluster && operator.not_ready().await.is_none() {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            bail!("{progress:?}, {:?}\n{}", operator.not_ready().await, operator.log_tail()?);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Hands connections on to an API server.
struct Forwarder {
    _tasks: JoinSet<()>,
}

impl Forwarder {
    async fn start(port: u16, kube: &Kube) -> Result<Forwarder> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let server: SocketAddr = kube.api_server();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(server).await {
                        // A connection that breaks is one that ends.
                        drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                    }
                });
            }
        });
        Ok(Forwarder { _tasks: tasks })
    }
}
