//! The history: it tells of every acknowledged change once and of no other, in both feeds alike, and leads to what there is.

use std::collections::BTreeMap;

use api::notification::Event;
use api::notification::resource_snapshot::Resource;
use api::relationship::{self as wire, Delegation, DelegationState, RelationshipState};

use super::World;
use super::answers::Told;

/// What is wrong with the history.
pub(super) fn check(told: &Told, world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    for (feed, events) in &world.feeds {
        for (event, expected) in events.iter().zip(1..) {
            if event.sequence != expected {
                broken.push(format!("{feed} has {} in the place of sequence {expected}", event.sequence));
                break;
            }
        }
    }
    broken.extend(alike(world));
    broken.extend(once(told, world));
    broken.extend(chains(world));
    broken.extend(views(world));
    broken
}

/// Events about a customer stand in its feed and in that of the partner concerned, and say the same there.
fn alike(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    let id = |event: &Event| event.name.rsplit('/').next().unwrap_or_default().to_owned();
    let same = |event: &Event| Event { name: String::new(), sequence: 0, ..event.clone() };
    let feeds = |of: &'static str| world.feeds.iter().filter(move |(feed, _)| feed.starts_with(of));
    let mut at_customers = BTreeMap::new();
    for (feed, events) in feeds("customers/") {
        for event in events {
            if at_customers.insert(id(event), event).is_some() {
                broken.push(format!("{feed} tells {} twice", event.name));
            }
        }
    }
    let mut seen = BTreeMap::new();
    for (feed, events) in feeds("partners/") {
        for event in events {
            let first = seen.insert(id(event), feed.clone());
            if first.is_some() {
                broken.push(format!("{} stands twice in feeds of partners", event.name));
            }
            let of_link = event.resource.starts_with("partners/");
            match at_customers.get(&id(event)) {
                Some(other) if same(other) == same(event) => {}
                Some(other) => broken.push(format!("{} and {} say different things", event.name, other.name)),
                None if of_link => {}
                None => broken.push(format!("{} is not in the feed of its customer", event.name)),
            }
        }
    }
    for (id, event) in &at_customers {
        if !seen.contains_key(id) {
            broken.push(format!("{} is in the feed of no partner", event.name));
        }
    }
    broken
}

/// What an event is known by: its type, its resource, and the etag after it for what has versions.
fn key(event: &Event) -> (String, String, String) {
    let etag = match event.after.as_ref().and_then(|after| after.resource.as_ref()) {
        Some(Resource::Delegation(after)) => after.etag.clone(),
        Some(Resource::InvitationLink(after)) => after.etag.clone(),
        // An acceptance that finds one established tells its etag of then.
        Some(Resource::Relationship(after)) if event.r#type != "relationship.established" => after.etag.clone(),
        Some(Resource::Relationship(_) | Resource::AgreementAcceptance(_)) | None => String::new(),
    };
    (event.r#type.clone(), event.resource.clone(), etag)
}

/// Every event that an answer implies is told once, and none that no answer implies.
fn once(told: &Told, world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    let mut counts: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for (feed, events) in &world.feeds {
        for event in events.iter().filter(|event| feed.starts_with("customers/") || event.resource.starts_with(feed)) {
            *counts.entry(key(event)).or_default() += 1;
        }
    }
    for (kind, resource, etag) in told.events.keys() {
        match counts.remove(&((*kind).to_owned(), resource.clone(), etag.clone())) {
            Some(1) => {}
            Some(count) => broken.push(format!("{kind} of {resource} is told {count} times")),
            None => broken.push(format!("{kind} of {resource} {etag} was acknowledged and is not in the history")),
        }
    }
    for ((kind, resource, etag), count) in counts {
        // What ends with a relationship is in no answer, and ends with one that was told of.
        let of_ended = |of: &&wire::Relationship| {
            of.state() == RelationshipState::Terminated && resource.starts_with(&format!("{}/", of.name))
        };
        if kind == "delegation.closed" && count == 1 && world.relationships.iter().any(|it| of_ended(&it)) {
            continue;
        }
        broken.push(format!("{kind} of {resource} {etag} is in the history, and nobody was told that it happened"));
    }
    broken
}

/// A delegation without the name of its partner, which changes by itself.
fn unnamed(delegation: &Delegation) -> Delegation {
    Delegation { partner_display_name: String::new(), ..delegation.clone() }
}

/// Before each event is what was after the one before, and after the last is what there is.
fn chains(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    let mut last: BTreeMap<String, Option<Resource>> = BTreeMap::new();
    for (feed, events) in &world.feeds {
        for event in events.iter().filter(|event| feed.starts_with("customers/") || event.resource.starts_with(feed)) {
            let resource = |snapshot: &Option<api::notification::ResourceSnapshot>| {
                snapshot.clone().and_then(|snapshot| snapshot.resource).map(comparable)
            };
            let before = resource(&event.before);
            match last.get(&event.resource) {
                Some(after) if *after == before => {}
                // A link begins with a read, of which nothing is told.
                None if before.is_none() || matches!(before, Some(Resource::InvitationLink(_))) => {}
                Some(_) | None => broken.push(format!("before {} was not what the event before left", event.name)),
            }
            last.insert(event.resource.clone(), resource(&event.after));
        }
    }
    let mut there_is: BTreeMap<String, Resource> = BTreeMap::new();
    for delegation in &world.delegations {
        there_is.insert(delegation.name.clone(), comparable(Resource::Delegation(delegation.clone())));
    }
    for relationship in &world.relationships {
        there_is.insert(relationship.name.clone(), comparable(Resource::Relationship(relationship.clone())));
    }
    for agreement in &world.agreements {
        there_is.insert(agreement.name.clone(), Resource::AgreementAcceptance(agreement.clone()));
    }
    for link in world.links.iter().filter(|link| last.contains_key(&link.name)) {
        there_is.insert(link.name.clone(), comparable(Resource::InvitationLink(link.clone())));
    }
    for (name, resource) in &there_is {
        match last.remove(name).flatten() {
            Some(after) if after == *resource => {}
            Some(after) => broken.push(format!("the history leaves {name} as {after:?}, and it is {resource:?}")),
            None => broken.push(format!("{name} is there, and the history does not tell of it")),
        }
    }
    for name in last.keys() {
        broken.push(format!("{name} is in the history and is not there"));
    }
    broken
}

/// A resource without what changes though nothing is told of it, and without what is never told.
fn comparable(resource: Resource) -> Resource {
    match resource {
        Resource::Delegation(delegation) => Resource::Delegation(unnamed(&delegation)),
        Resource::Relationship(mut relationship) => {
            relationship.partner_display_name.clear();
            relationship.delegated_services.clear();
            relationship.termination.iter_mut().for_each(|termination| termination.blockers.clear());
            Resource::Relationship(relationship)
        }
        Resource::InvitationLink(mut link) => {
            link.uri.clear();
            link.token.clear();
            Resource::InvitationLink(link)
        }
        Resource::AgreementAcceptance(agreement) => Resource::AgreementAcceptance(agreement),
    }
}

/// Both sides see the same: a partner its customers and no others (I7, I12), with the services it holds.
fn views(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    for (partner, seen) in &world.seen_by {
        let mut expected: Vec<(String, Vec<String>)> = Vec::new();
        let own = world.relationships.iter().filter(|relationship| relationship.partner == *partner);
        for relationship in own.filter(|relationship| relationship.state() != RelationshipState::Terminated) {
            let below = format!("{}/", relationship.name);
            let active = world
                .delegations
                .iter()
                .filter(|held| held.name.starts_with(&below) && held.state() == DelegationState::Active);
            let mut services: Vec<String> = active.map(|held| held.service.clone()).collect();
            services.sort();
            if services != relationship.delegated_services {
                broken.push(format!(
                    "{} lists {:?}, and holds {services:?}",
                    relationship.name, relationship.delegated_services
                ));
            }
            expected.push((relationship.name.clone(), services));
        }
        let mut found: Vec<(String, Vec<String>)> =
            seen.iter().map(|seen| (seen.relationship.clone(), seen.delegated_services.clone())).collect();
        expected.sort();
        found.sort();
        if found != expected {
            broken.push(format!("{partner} sees {found:?}, and there is {expected:?}"));
        }
    }
    broken
}

#[cfg(test)]
mod tests;
