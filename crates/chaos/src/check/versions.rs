//! Resources with versions: every acknowledged change made one, none made two, and the last is what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use anyhow::Result;
use api::invitation::InvitationLink;
use api::relationship::{Customer, Partner, Relationship, Subscription, User};
use prost::Message;

use super::answers::message;
use super::{World, version};
use crate::history::Call;
use crate::kind::Kind;

/// What is wrong with the versions.
///
/// # Errors
/// When an answer is no message of its method.
pub(super) fn check(calls: &[Call], world: &World) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    let kinds = [Kind::CreatePartner, Kind::UpdatePartner];
    let told = Versions::of(calls, &kinds, |partner: Partner| (partner.name.clone(), partner.etag.clone(), partner))?;
    told.compare(world.partners.iter().map(|it| (&it.name, &it.etag, it)), 1, &mut broken);
    let kinds = [Kind::CreateCustomer, Kind::UpdateCustomer];
    let told = Versions::of(calls, &kinds, |it: Customer| (it.name.clone(), it.etag.clone(), it))?;
    told.compare(world.customers.iter().map(|it| (&it.name, &it.etag, it)), 1, &mut broken);
    let told = Versions::of(calls, &[Kind::CreateUser], |it: User| (it.name.clone(), it.etag.clone(), it))?;
    told.compare(world.users.iter().map(|it| (&it.name, &it.etag, it)), 1, &mut broken);
    let kinds = [Kind::UpdateSubscription];
    let told = Versions::of(calls, &kinds, |it: Subscription| (it.name.clone(), it.etag.clone(), it))?;
    told.compare(world.subscriptions.iter().map(|it| (&it.name, &it.etag, it)), 1, &mut broken);
    // The first was made by an acceptance.
    let kinds = [Kind::Terminate, Kind::CancelTermination];
    let told = Versions::of(calls, &kinds, |it: Relationship| (it.name.clone(), it.etag.clone(), alone(it)))?;
    let relationships: Vec<Relationship> = world.relationships.iter().cloned().map(alone).collect();
    told.compare(relationships.iter().map(|it| (&it.name, &it.etag, it)), 2, &mut broken);
    // A link begins with a read, and is disabled once however often it is asked for.
    let kinds = [Kind::RotateLink, Kind::DisableLink];
    let mut told = Versions::of(calls, &kinds, |it: InvitationLink| (it.name.clone(), it.etag.clone(), it))?;
    told.doubled.clear();
    told.compare(world.links.iter().map(|it| (&it.name, &it.etag, it)), 2, &mut broken);
    Ok(broken)
}

/// A relationship without what it shows of others, which no etag speaks of.
fn alone(mut relationship: Relationship) -> Relationship {
    relationship.partner_display_name.clear();
    relationship.partner_verified_domain.clear();
    relationship.delegated_services.clear();
    relationship.termination.iter_mut().for_each(|termination| termination.blockers.clear());
    relationship
}

/// The versions that answers spoke of, by resource.
struct Versions<T> {
    by_name: BTreeMap<String, BTreeMap<u64, T>>,
    /// Versions that two answers claim to have made.
    doubled: BTreeSet<(String, u64)>,
}

impl<T: Message + Default + PartialEq + Debug> Versions<T> {
    fn of(calls: &[Call], kinds: &[Kind], read: impl Fn(T) -> (String, String, T)) -> Result<Versions<T>> {
        let mut versions = Versions { by_name: BTreeMap::new(), doubled: BTreeSet::new() };
        for call in calls.iter().filter(|call| kinds.contains(&call.kind)) {
            let Some(answer) = message::<T>(call)? else { continue };
            let (name, etag, answer) = read(answer);
            let number = version(&etag);
            if versions.by_name.entry(name.clone()).or_default().insert(number, answer).is_some() {
                versions.doubled.insert((name, number));
            }
        }
        Ok(versions)
    }

    /// Against what there is. Versions below `first` were made by no answer of these.
    fn compare<'a>(
        &self,
        there_is: impl Iterator<Item = (&'a String, &'a String, &'a T)>,
        first: u64,
        broken: &mut Vec<String>,
    ) where
        T: 'a,
    {
        for (name, number) in &self.doubled {
            broken.push(format!("two changes of {name} were both answered with version {number}: one is lost"));
        }
        let mut found = BTreeSet::new();
        for (name, etag, resource) in there_is {
            found.insert(name);
            let last = version(etag);
            let told = self.by_name.get(name);
            let numbers: Vec<u64> = told.into_iter().flat_map(|told| told.keys().copied()).collect();
            if numbers != (first..=last).collect::<Vec<u64>>() {
                broken.push(format!("{name} is at version {last}, and the answers told of {numbers:?}"));
            }
            if told.and_then(|told| told.get(&last)).is_some_and(|told| told != resource) {
                broken.push(format!("{name} is not what the answer of its last version said: {resource:?}"));
            }
        }
        for name in self.by_name.keys().filter(|name| !found.contains(name)) {
            broken.push(format!("{name} was acknowledged and is not there"));
        }
    }
}

#[cfg(test)]
mod tests {
    use api::relationship as wire;

    use crate::check::sample::{answered, call, found};
    use crate::kind::Kind;

    #[test]
    fn a_version_was_made_by_no_answer() {
        let found = found(|it| it.world.partners[0].etag = "v2".to_owned());
        assert_eq!(found, "partners/p is at version 2, and the answers told of [1]");
    }

    #[test]
    fn a_version_is_skipped() {
        let found = found(|it| {
            it.world.partners[0].etag = "v3".to_owned();
            let third = answered(&it.world.partners[0]);
            it.calls.push(call(Kind::UpdatePartner, 100, &wire::UpdatePartnerRequest::default(), third));
        });
        assert_eq!(found, "partners/p is at version 3, and the answers told of [1, 3]");
    }

    #[test]
    fn a_version_is_made_twice() {
        let found = found(|it| {
            it.suspend("p", 100);
            it.suspend("p", 110);
        });
        assert_eq!(found, "two changes of partners/p were both answered with version 2: one is lost");
    }

    #[test]
    fn a_version_is_not_as_it_was_answered() {
        let found = found(|it| it.world.partners[1].display_name = "another".to_owned());
        assert!(found.starts_with("partners/q is not what the answer of its last version said"), "{found}");
    }

    #[test]
    fn what_was_acknowledged_is_gone() {
        let found = found(|it| drop(it.world.partners.remove(1)));
        assert_eq!(found, "partners/q was acknowledged and is not there");
    }
}
