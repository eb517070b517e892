//! How clients end relationships, and think better of it.

use std::time::Duration;

use api::relationship as wire;
use api::relationship::RelationshipState as State;
use clock::Clock;

use super::{Doer, LIST_RELATIONSHIPS};
use crate::client::{Actor, CUSTOMERS, PARTNERS};
use crate::kind::Kind;
use crate::random::Random;

/// Longer than any round, and than any clock is set ahead in one: nothing ends by itself, which no answer would tell.
const NOTICE: Duration = Duration::from_hours(24 * 30);

impl Doer<'_> {
    /// Ends a relationship, or takes back the notice of its end: as the customer, or as the partner.
    pub(super) async fn part(&self, kind: Kind, random: &mut Random) {
        let customer = random.below(CUSTOMERS);
        let (pick, as_partner, checks_etag, by_notice) =
            (random.number(), random.once_in(2), random.once_in(2), random.once_in(2));
        let (reason, request_id) = (format!("because {}", random.below(100)), random.uuid());
        let parent = self.client.scene.customer(customer);
        let request = wire::ListRelationshipsRequest { parent, ..Default::default() };
        let page: Option<wire::ListRelationshipsResponse> =
            self.client.read(Actor::Admin(customer), LIST_RELATIONSHIPS, &request).await;
        let mut found = page.map(|page| page.relationships).unwrap_or_default();
        let wanted = if kind == Kind::Terminate { State::Active } else { State::Terminating };
        // One that is over now and then, which is refused.
        if pick % 8 != 0 {
            found.retain(|relationship| relationship.state() == wanted);
        }
        let Some(one) = found.get(usize::try_from(pick % found.len().max(1) as u64).unwrap_or_default()) else {
            return;
        };
        let partner = (0..PARTNERS).find(|number| self.client.scene.partner(*number) == one.partner);
        let actor = partner.filter(|_| as_partner).map_or(Actor::Admin(customer), Actor::Agent);
        let (name, etag) = (one.name.clone(), if checks_etag { one.etag.clone() } else { String::new() });
        if kind == Kind::CancelTermination {
            let request = wire::CancelTerminationRequest { name, reason, etag, request_id };
            self.change(actor, kind, &request).await;
            return;
        }
        let effective_time = by_notice.then(|| api::field::timestamp(Clock::system().now().plus(NOTICE).micros()));
        let request =
            wire::RequestTerminationRequest { name, reason, effective_time, etag, request_id, validate_only: false };
        self.change(actor, kind, &request).await;
    }
}
