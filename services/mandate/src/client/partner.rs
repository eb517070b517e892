//! What agents of a partner do: links, drafts, their customers.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{Desk, Own, joined, qualified, read_text};
use crate::cli::Connection;
use crate::contract::{list, text};
use crate::failure::Failure;
use crate::screen;

/// Which link, and what to do with it.
#[derive(Debug, Args)]
pub(crate) struct Link {
    #[command(flatten)]
    choice: Choice,
    /// Replace its URI; all earlier ones are refused from now on.
    #[arg(long, conflicts_with = "disable")]
    rotate: bool,
    /// Have its URI refused from now on.
    #[arg(long)]
    disable: bool,
    /// Why, for the history.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// A link of a partner.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// Ask for admin privileges on these services, separated by commas; those of the policy when left out.
    #[arg(long, value_delimiter = ',', conflicts_with = "no_delegation")]
    services: Vec<String>,
    /// Ask for no admin privileges, where the cloud allows that.
    #[arg(long)]
    no_delegation: bool,
    /// The id of the partner; the caller's own when left out.
    #[arg(long)]
    partner: Option<String>,
}

/// What to draft.
#[derive(Debug, Args)]
pub(crate) struct Draft {
    #[command(flatten)]
    choice: Choice,
    /// The language: en, it, de, fr, zh-Hans or ja.
    #[arg(long, default_value = "en")]
    locale: String,
    /// Replace a paragraph: `2=Our new text`. Nothing behind the sign deletes it.
    #[arg(long, value_name = "NUMBER=TEXT")]
    edit: Vec<String>,
    /// Show the link for a mail program in place of the text.
    #[arg(long)]
    mailto: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct CheckText {
    /// The file with the text; `-` for standard input.
    file: PathBuf,
    #[command(flatten)]
    choice: Choice,
    /// The language it was drafted in.
    #[arg(long, default_value = "en")]
    locale: String,
    #[command(flatten)]
    connection: Connection,
}

impl Choice {
    /// The name of the link. The services asked for by default are the policy's.
    async fn name(&self, desk: &Desk, cloud: &str) -> Result<String, Failure> {
        let partner = desk.tenant("partners", self.partner.as_deref())?;
        let mut services = self.services.clone();
        if services.is_empty() && !self.no_delegation {
            let request = json!({ "name": format!("clouds/{cloud}/policy") });
            let policy = desk.call("CloudService/GetCloudPolicy", &request).await?;
            services = requested_by_default(&policy);
        }
        services.sort();
        services.dedup();
        services.insert(0, "reseller".to_owned());
        Ok(format!("{partner}/invitationLinks/{}", services.join(".")))
    }
}

/// The services that a policy asks for unless somebody chooses others.
pub(crate) fn requested_by_default(policy: &Value) -> Vec<String> {
    let services = list(policy, "/services").iter();
    let wanted = services.filter(|service| service["requestedByDefault"] == json!(true));
    wanted.map(|service| text(service, "/id").to_owned()).collect()
}

pub(super) async fn link(task: Link) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let name = task.choice.name(&desk, &task.connection.cloud).await?;
    let (method, request) = if task.rotate {
        let request = json!({ "name": name, "reason": task.reason });
        ("InvitationService/RotateInvitationLink", request)
    } else if task.disable {
        let request = json!({ "name": name, "reason": task.reason });
        ("InvitationService/DisableInvitationLink", request)
    } else {
        let request = json!({ "name": name });
        ("InvitationService/GetInvitationLink", request)
    };
    let link = desk.call(method, &request).await?;
    desk.show(&link, |link| {
        screen::line(text(link, "/uri"))?;
        let state = screen::word(text(link, "/state"), "INVITATION_LINK_STATE_");
        screen::line(format_args!("{}, {state}", text(link, "/name")))
    })
}

pub(super) async fn links(task: Own) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let request = json!({ "parent": desk.tenant("partners", task.tenant.as_deref())? });
    let method = "InvitationService/ListInvitationLinks";
    let links = desk.pages(method, &request, "invitationLinks").await?;
    desk.show(&links, |links| {
        let rows = list(links, "/invitationLinks").iter().map(|link| {
            vec![
                screen::id(text(link, "/name")).to_owned(),
                screen::word(text(link, "/state"), "INVITATION_LINK_STATE_"),
                screen::moment(text(link, "/createTime")),
                text(link, "/uri").to_owned(),
            ]
        });
        let rows: Vec<_> = rows.collect();
        screen::table(&["link", "state", "since", "uri"], &rows, "no link has been asked for yet")
    })
}

pub(super) async fn draft(task: Draft) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let name = task.choice.name(&desk, &task.connection.cloud).await?;
    let mut edits = Vec::new();
    for edit in &task.edit {
        let parsed = edit.split_once('=').and_then(|(paragraph, text)| {
            let paragraph: i32 = paragraph.trim().parse().ok()?;
            Some(json!({ "paragraph": paragraph, "text": text }))
        });
        let Some(parsed) = parsed else {
            return Err(Failure::usage(format!("--edit: {edit:?} is no edit; expected one such as `2=Our new text`")));
        };
        edits.push(parsed);
    }
    // Rendering is for links that have been asked for.
    let asked = json!({ "name": name });
    desk.call("InvitationService/GetInvitationLink", &asked).await?;
    let request = json!({ "name": name, "locale": task.locale, "edits": edits });
    let draft = desk.call("InvitationService/RenderInvitationText", &request).await?;
    desk.show(&draft, |draft| {
        if task.mailto {
            return screen::line(text(draft, "/mailtoUri"));
        }
        screen::line(format_args!("Subject: {}\n", text(draft, "/subject")))?;
        screen::line(text(draft, "/plainText"))
    })
}

pub(super) async fn check_text(task: CheckText) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let name = task.choice.name(&desk, &task.connection.cloud).await?;
    let request = json!({ "name": name, "locale": task.locale, "text": read_text(&task.file)? });
    let answer = desk.call("InvitationService/CheckInvitationText", &request).await?;
    desk.show(&answer, |answer| {
        let rows = list(answer, "/violations").iter().map(|violation| {
            let number = |key: &str| violation[key].as_i64().map(|number| number.to_string());
            vec![
                text(violation, "/reason").to_owned(),
                text(violation, "/rule").to_owned(),
                number("paragraph").unwrap_or_default(),
                number("position").unwrap_or_default(),
                text(violation, "/description").to_owned(),
            ]
        });
        let rows: Vec<_> = rows.collect();
        let heading = ["violation", "rule", "paragraph", "position", "what to do"];
        screen::table(&heading, &rows, "the text may be sent")
    })?;
    if answer["acceptable"] == json!(true) {
        return Ok(());
    }
    Err(Failure::Denied)
}

pub(super) async fn customers(task: Own) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let partner = desk.tenant("partners", task.tenant.as_deref())?;
    let request = json!({ "parent": qualified("partners", &partner) });
    let method = "RelationshipService/ListPartnerCustomers";
    let customers = desk.pages(method, &request, "partnerCustomers").await?;
    desk.show(&customers, |customers| {
        let rows = list(customers, "/partnerCustomers").iter().map(|customer| {
            vec![
                screen::id(text(customer, "/customer")).to_owned(),
                text(customer, "/displayName").to_owned(),
                text(customer, "/country").to_owned(),
                screen::word(text(customer, "/relationshipState"), "RELATIONSHIP_STATE_"),
                joined(customer, "/delegatedServices"),
                screen::moment(text(customer, "/acceptTime")),
            ]
        });
        let rows: Vec<_> = rows.collect();
        let heading = ["customer", "name", "country", "relationship", "admin privileges", "since"];
        screen::table(&heading, &rows, "no customer has accepted yet")
    })
}
