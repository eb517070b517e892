//! The everyday tasks of partners and customers, one command each, called through the gateway.
//!
//! Each command is one call of the contract, or a few that belong together; what it shows as JSON is what the calls answered.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::{Connection, Token};
use crate::contract::{Answer, Gateway, Session, list, text};
use crate::failure::Failure;
use crate::issuer::{DEFAULT_LIFETIME, Identity, Kind};
use crate::screen::{self, Output};
use crate::token::{self, Mint};

mod access;
mod clouds;
mod customer;
mod partner;
mod termination;

pub(crate) use partner::requested_by_default;

const PAGE_SIZE: i32 = 1000;
/// A list longer than this is not for a terminal.
const PAGES_MAX: usize = 100;

/// The everyday tasks.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the invitation link of a partner; rotate or disable it.
    Link(partner::Link),
    /// List the invitation links of a partner.
    Links(Own),
    /// Draft the mail that carries a link.
    Draft(partner::Draft),
    /// Check an edited mail against the rule of the cloud. Exits with 1 when it may not be sent.
    CheckText(partner::CheckText),
    /// Show a customer what accepting an invitation would mean.
    Resolve(customer::Resolve),
    /// Accept an invitation.
    Accept(customer::Accept),
    /// List the customers of a partner.
    Customers(Own),
    /// Show who administers which service of a customer, and all its partners.
    Partners(Own),
    /// List the delegations of a customer, ended ones too.
    Delegations(customer::Delegations),
    /// Take admin privileges away from a partner. The relationship stays.
    Remove(customer::Remove),
    /// Hand admin privileges over to another partner.
    Reassign(customer::Reassign),
    /// End a relationship, now or at a later time.
    Terminate(termination::Terminate),
    /// Take back the notice that a relationship will end.
    CancelTermination(termination::CancelTermination),
    /// Show what keeps a relationship from ending.
    Blockers(termination::Blockers),
    /// Ask whether a partner may do something for a customer. Exits with 1 when it may not.
    Check(access::Check),
    /// Show everything that partners may do for a customer.
    Explain(access::Explain),
    /// Follow the events of a partner or customer as they come.
    Watch(clouds::Watch),
    /// List the clouds behind the gateway.
    Clouds(clouds::Clouds),
    /// Show the rules of a cloud.
    Policy(clouds::Policy),
}

/// A task about the caller's own tenant.
#[derive(Debug, Args)]
pub(crate) struct Own {
    /// The id of the partner or customer; the caller's own when left out.
    tenant: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Does an everyday task.
///
/// # Errors
/// What stood in the way.
pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Link(task) => partner::link(task).await,
        Command::Links(task) => partner::links(task).await,
        Command::Draft(task) => partner::draft(task).await,
        Command::CheckText(task) => partner::check_text(task).await,
        Command::Resolve(task) => customer::resolve(task).await,
        Command::Accept(task) => customer::accept(task).await,
        Command::Customers(task) => partner::customers(task).await,
        Command::Partners(task) => customer::partners(task).await,
        Command::Delegations(task) => customer::delegations(task).await,
        Command::Remove(task) => customer::remove(task).await,
        Command::Reassign(task) => customer::reassign(task).await,
        Command::Terminate(task) => termination::terminate(task).await,
        Command::CancelTermination(task) => termination::cancel(task).await,
        Command::Blockers(task) => termination::blockers(task).await,
        Command::Check(task) => access::check(task).await,
        Command::Explain(task) => access::explain(task).await,
        Command::Watch(task) => clouds::watch(task).await,
        Command::Clouds(task) => clouds::clouds(task).await,
        Command::Policy(task) => clouds::policy(task).await,
    }
}

/// Prints a token.
///
/// # Errors
/// What stood in the way.
pub(crate) async fn token(options: &Token) -> Result<(), Failure> {
    let identity = match &options.name {
        Some(name) => token::somebody(&options.cloud, name)?,
        None => claimed(options)?,
    };
    let gateway = Gateway::at(&options.gateway)?;
    let mint = Mint::of(&gateway, &options.cloud).await?;
    let lifetime = Duration::from_secs(options.lifetime);
    screen::line(mint.token(&identity, lifetime).await?)
}

fn claimed(options: &Token) -> Result<Identity, Failure> {
    let kind = options.kind.clone().unwrap_or_default();
    let kind = Kind::parse(&kind).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::as_str).join(", ");
        Failure::usage(format!("--kind: {kind:?} is none of {known}"))
    })?;
    Ok(Identity {
        subject: options.sub.clone().unwrap_or_default(),
        tenant: options.tid.clone().unwrap_or_default(),
        kind,
        roles: options.roles.clone(),
    })
}

/// A caller at work: whom it calls, as whom, and how it is shown the answers.
struct Desk {
    session: Session,
    tenant: Option<String>,
    output: Output,
}

impl Desk {
    /// Signs the caller in.
    async fn open(connection: &Connection) -> Result<Desk, Failure> {
        let gateway = Gateway::at(&connection.gateway)?;
        let cloud = &connection.cloud;
        let token = match (&connection.name, &connection.token_file) {
            (Some(name), _) => {
                let identity = token::somebody(cloud, name)?;
                let mint = Mint::of(&gateway, cloud).await?;
                Some(mint.token(&identity, DEFAULT_LIFETIME).await?)
            }
            (None, Some(file)) => Some(token::from_file(file)?),
            (None, None) => None,
        };
        Ok(Desk {
            session: gateway.session(cloud, token.as_deref()),
            tenant: token.as_deref().and_then(token::tenant_of),
            output: connection.output,
        })
    }

    /// The name of a tenant in this collection: the one given, by id or by name, else the caller's own.
    fn tenant(&self, collection: &str, given: Option<&str>) -> Result<String, Failure> {
        let id = given
            .or(self.tenant.as_deref())
            .ok_or_else(|| Failure::usage("say who you are: --as NAME, or --token-file FILE".to_owned()))?;
        Ok(qualified(collection, id))
    }

    async fn call(&self, method: &str, request: &Value) -> Result<Value, Failure> {
        self.session.call(method, request).await.map(|Answer { message, .. }| message)
    }

    /// All pages of a list, as one answer.
    async fn pages(&self, method: &str, request: &Value, field: &str) -> Result<Value, Failure> {
        let mut request = request.clone();
        request["pageSize"] = json!(PAGE_SIZE);
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = self.call(method, &request).await?;
            all.extend_from_slice(list(&page, &format!("/{field}")));
            match text(&page, "/nextPageToken") {
                "" => return Ok(json!({ field: all })),
                next => request["pageToken"] = json!(next),
            }
        }
        Err(Failure::Other(format!("the list has more than {} entries; page through it with {method}", all.len())))
    }

    /// Shows an answer: as it is to programs, by `table` to people.
    fn show(&self, answer: &Value, table: impl FnOnce(&Value) -> Result<(), Failure>) -> Result<(), Failure> {
        match self.output {
            Output::Json => screen::json(answer),
            Output::Table => table(answer),
        }
    }
}

/// A resource name from an id or from the name itself.
fn qualified(collection: &str, id: &str) -> String {
    if id.contains('/') { id.to_owned() } else { format!("{collection}/{id}") }
}

/// A text from a file, or from standard input when it is called `-`.
fn read_text(file: &PathBuf) -> Result<String, Failure> {
    let read =
        if file.as_os_str() == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    read.map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

/// The texts of a list, in one cell.
fn joined(value: &Value, pointer: &str) -> String {
    let texts: Vec<&str> = list(value, pointer).iter().filter_map(Value::as_str).collect();
    texts.join(" ")
}
