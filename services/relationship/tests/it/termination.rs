//! How relationships end, on the wire: at once, by notice, blocked and freed, by either side.

use std::time::Duration;

use api::notification::Event;
use api::notification::resource_snapshot::Resource;
use api::relationship as wire;
use api::relationship::check_access_request::Target;
use clock::Time;
use prost_types::Timestamp;
use testkit::Database;
use testkit::provider::Identity;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::world::{BILLING, OPERATOR, World, admin, agent, reasons, told};

testkit::on_both!(
    n40_n43_ending_at_once_takes_everything_and_a_new_acceptance_makes_a_new_relationship,
    n41_every_subscription_that_blocks_is_told_at_once,
    n41_a_notice_ends_the_relationship_when_its_time_has_come,
    n41_what_blocks_a_notice_ends_the_relationship_when_it_goes,
    a_notice_that_falls_due_while_the_service_is_away_is_kept_once,
    d4_the_side_that_gave_notice_takes_it_back_and_no_other,
    i12_others_learn_nothing_and_readers_end_nothing,
    n47_a_notice_out_of_range_names_the_bounds,
);

const NOTICE: Duration = Duration::from_mins(20);

fn at(time: Time) -> Option<Timestamp> {
    Some(api::field::timestamp(time.micros()))
}

fn request(name: &str) -> wire::RequestTerminationRequest {
    let (name, reason) = (name.to_owned(), "we part".to_owned());
    wire::RequestTerminationRequest { name, reason, ..Default::default() }
}

impl World {
    async fn established(&self, services: &[&str]) -> wire::Relationship {
        let answer = self.accept("cedar", "alpenglow", services).await.expect("accepted");
        answer.relationship.expect("it was established")
    }

    async fn terminate(
        &self,
        by: Identity<'_>,
        request: wire::RequestTerminationRequest,
    ) -> Result<wire::Relationship, Status> {
        Ok(self.relationships().request_termination(self.by(by, request)).await?.into_inner())
    }

    /// As [`World::terminate`], at the end of a short notice.
    async fn notice(&self, by: Identity<'_>, name: &str) -> wire::Relationship {
        let effective_time = at(self.clock.now().plus(NOTICE));
        let request = wire::RequestTerminationRequest { effective_time, ..request(name) };
        self.terminate(by, request).await.expect("a notice passes")
    }

    async fn cancel(&self, by: Identity<'_>, name: &str) -> Result<wire::Relationship, Status> {
        let request = wire::CancelTerminationRequest { name: name.to_owned(), ..Default::default() };
        Ok(self.relationships().cancel_termination(self.by(by, request)).await?.into_inner())
    }

    async fn relationship(&self, name: &str) -> wire::Relationship {
        let request = wire::GetRelationshipRequest { name: name.to_owned() };
        self.relationships().get_relationship(self.by(OPERATOR, request)).await.expect("it is there").into_inner()
    }

    async fn blockers(&self, by: Identity<'_>, name: &str) -> Vec<String> {
        let request = wire::ListTerminationBlockersRequest { name: name.to_owned() };
        let listed = self.relationships().list_termination_blockers(self.by(by, request)).await.expect("its own");
        listed.into_inner().blockers.into_iter().map(|blocker| blocker.resource).collect()
    }

    /// Feeds a subscription of the customer that this partner sold.
    async fn feed(&self, id: &str, partner: &str, status: wire::SubscriptionStatus) {
        let subscription = wire::Subscription {
            name: format!("customers/cedar/subscriptions/{id}"),
            service: "office-365".to_owned(),
            status: status.into(),
            original_reseller: format!("partners/{partner}"),
            ..Default::default()
        };
        let request = wire::UpdateSubscriptionRequest {
            subscription: Some(subscription),
            allow_missing: true,
            ..Default::default()
        };
        self.subscriptions()
            .update_subscription(self.by(OPERATOR, request))
            .await
            .expect("an operator keeps the records");
    }

    /// Waits until a relationship has ended.
    async fn ended(&self, name: &str) -> wire::Relationship {
        let ended = async {
            loop {
                let found = self.relationship(name).await;
                if found.state() == wire::RelationshipState::Terminated {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it ends")
    }

    /// What was told since the relationship began: types and actors.
    async fn story(&self, name: &str) -> Vec<(String, String)> {
        let events = self.events().await.into_iter().filter_map(|envelope| envelope.event);
        let own = events.filter(|event| event.resource.starts_with(name));
        own.map(|event| (event.r#type, event.actor)).skip(1).collect()
    }

    /// The partner has neither record nor access, and every delegation of the relationship is closed for the same reason.
    async fn expect_nothing_left(&self, name: &str) {
        let record = wire::GetPartnerCustomerRequest { name: "partners/alpenglow/customers/cedar".to_owned() };
        let gone = self.relationships().get_partner_customer(self.by(agent("alpenglow"), record)).await;
        assert_eq!(told(&gone.expect_err("I7")).1, "RESOURCE_NOT_FOUND");
        for (action, service) in
            [(wire::Action::ManageUsers, "azure-ad"), (wire::Action::ProvisionSubscription, "azure")]
        {
            let check = wire::CheckAccessRequest {
                partner: "partners/alpenglow".to_owned(),
                customer: "customers/cedar".to_owned(),
                action: action.into(),
                target: Some(Target::Service(service.to_owned())),
                consistency: None,
            };
            let answer = self.access().check_access(self.by(BILLING, check)).await.expect("an answer").into_inner();
            assert!(!answer.allowed, "N40: {answer:?}");
        }
        let list = wire::ListDelegationsRequest { parent: name.to_owned(), ..Default::default() };
        let held =
            self.delegations().list_delegations(self.by(admin("cedar"), list)).await.expect("its own").into_inner();
        assert!(
            held.delegations
                .iter()
                .all(|held| held.state() == wire::DelegationState::Closed && held.end_reason == "we part")
        );
    }
}

fn pairs(story: &[(&str, &str)]) -> Vec<(String, String)> {
    story.iter().map(|(kind, actor)| ((*kind).to_owned(), (*actor).to_owned())).collect()
}

const GIVEN: (&str, &str) = ("relationship.terminationRequested", "partners/alpenglow/users/agent-1");
const BY_ITSELF: (&str, &str) = ("relationship.terminated", "system");

async fn n40_n43_ending_at_once_takes_everything_and_a_new_acceptance_makes_a_new_relationship(database: Database) {
    let world = World::start("public", database).await;
    let before = world.established(&["azure-ad", "office-365"]).await;
    let ended = world.terminate(agent("alpenglow"), request(&before.name)).await.expect("nothing blocks it");
    assert_eq!((ended.state(), ended.etag.as_str()), (wire::RelationshipState::Terminated, "v2"));
    assert_eq!((ended.delegated_services.len(), ended.obligations.len()), (0, 0));
    let termination = ended.termination.clone().expect("it was requested");
    assert_eq!((termination.requested_by.as_str(), termination.reason.as_str()), (GIVEN.1, "we part"));
    assert_eq!((termination.effective_time, termination.blockers.len()), (ended.terminate_time, 0));
    assert_eq!(world.relationship(&before.name).await, ended);

    world.expect_nothing_left(&before.name).await;
    let by = GIVEN.1;
    let granted = [("delegation.granted", "customers/cedar/users/admin-1"); 2];
    let closed = [("delegation.closed", by), ("delegation.closed", by), ("relationship.terminated", by)];
    assert_eq!(world.story(&before.name).await, pairs(&[&granted[..], &closed].concat()), "I1, I10");
    let events: Vec<Event> = world.events().await.into_iter().filter_map(|it| it.event).collect();
    let last = events.last().expect("it was told");
    let Some(Resource::Relationship(was)) = last.before.clone().and_then(|before| before.resource) else {
        panic!("what it was: {last:?}");
    };
    assert_eq!((was.state(), was.etag.as_str()), (wire::RelationshipState::Active, "v1"));

    let again = world.terminate(admin("cedar"), request(&before.name)).await.expect_err("I11");
    assert_eq!(
        told(&again),
        (Code::FailedPrecondition, "RELATIONSHIP_NOT_ACTIVE".into(), "I11".into(), before.name.clone())
    );
    let renewed = world.established(&["azure-ad"]).await;
    assert_ne!(renewed.name, before.name, "N43");
    assert_eq!(renewed.delegated_services, ["azure-ad"], "nothing of the old is restored");
    assert_eq!(world.relationship(&before.name).await, ended, "I11");
}

async fn n41_every_subscription_that_blocks_is_told_at_once(database: Database) {
    let world = World::start("public", database).await;
    let name = world.established(&["office-365"]).await.name;
    world.feed("mail", "alpenglow", wire::SubscriptionStatus::Active).await;
    world.feed("chat", "alpenglow", wire::SubscriptionStatus::Active).await;
    world.feed("paused", "alpenglow", wire::SubscriptionStatus::Suspended).await;
    world.feed("other", "birchwood", wire::SubscriptionStatus::Active).await;
    let blocking = ["chat", "mail"].map(|id| format!("customers/cedar/subscriptions/{id}"));
    for by in [agent("alpenglow"), admin("cedar")] {
        let refused = world.terminate(by, request(&name)).await.expect_err("N41");
        let first = blocking[0].clone();
        assert_eq!(told(&refused), (Code::FailedPrecondition, "TERMINATION_BLOCKED".into(), "N41".into(), first));
        assert_eq!(reasons(&refused), ["TERMINATION_BLOCKED"; 2]);
        let failure = refused.get_details_precondition_failure().expect("conditions");
        let subjects: Vec<String> = failure.violations.iter().map(|violation| violation.subject.clone()).collect();
        assert_eq!(subjects, blocking);
        assert!(failure.violations.iter().all(|it| it.description.contains("suspend or cancel it")), "{failure:?}");
        assert_eq!(world.blockers(by, &name).await, blocking, "asked for, it is the same");
    }
    assert_eq!(world.relationship(&name).await.etag, "v1", "a refusal changes nothing");
    for id in ["chat", "mail"] {
        world.feed(id, "alpenglow", wire::SubscriptionStatus::Suspended).await;
    }
    assert!(world.blockers(admin("cedar"), &name).await.is_empty());
    world.terminate(agent("alpenglow"), request(&name)).await.expect("N41: suspended is enough");
}

async fn n41_a_notice_ends_the_relationship_when_its_time_has_come(database: Database) {
    let world = World::start("public", database).await;
    let name = world.established(&[]).await.name;
    let noticed = world.notice(agent("alpenglow"), &name).await;
    assert_eq!((noticed.state(), noticed.terminate_time), (wire::RelationshipState::Terminating, None));
    let effective_time = noticed.termination.expect("it was requested").effective_time;
    assert!(!noticed.obligations.is_empty(), "R28, R47: it binds until it has ended");
    world.clock.advance(NOTICE);
    let ended = world.ended(&name).await;
    assert_eq!(ended.termination.expect("it was requested").effective_time, effective_time);
    assert_eq!(world.story(&name).await, pairs(&[GIVEN, BY_ITSELF]));
}

async fn n41_what_blocks_a_notice_ends_the_relationship_when_it_goes(database: Database) {
    let world = World::start("public", database).await;
    let name = world.established(&["office-365"]).await.name;
    world.feed("mail", "alpenglow", wire::SubscriptionStatus::Active).await;
    let noticed = world.notice(admin("cedar"), &name).await;
    let blockers = noticed.termination.expect("it was requested").blockers;
    assert_eq!(blockers.len(), 1, "what will block it is told");
    assert_eq!((blockers[0].kind(), blockers[0].rule.as_str()), (wire::TerminationBlockerKind::Subscription, "N41"));
    // Without a blocker, another of the same age tells when the timers have fired.
    let other =
        world.accept("dunes", "alpenglow", &[]).await.expect("accepted").relationship.expect("established").name;
    world.notice(agent("alpenglow"), &other).await;
    world.clock.advance(NOTICE + Duration::from_secs(1));
    world.ended(&other).await;
    assert_eq!(world.relationship(&name).await.state(), wire::RelationshipState::Terminating, "it is blocked");
    world.feed("chat", "alpenglow", wire::SubscriptionStatus::Suspended).await;
    assert_eq!(world.relationship(&name).await.state(), wire::RelationshipState::Terminating, "still");
    world.feed("mail", "alpenglow", wire::SubscriptionStatus::Cancelled).await;
    let ended = world.relationship(&name).await;
    assert_eq!(ended.state(), wire::RelationshipState::Terminated, "in the same change");
    let story = world.story(&name).await;
    assert_eq!(story[2..], pairs(&[("delegation.closed", "system"), BY_ITSELF]));
}

async fn a_notice_that_falls_due_while_the_service_is_away_is_kept_once(database: Database) {
    let mut world = World::start("public", database).await;
    let name = world.established(&[]).await.name;
    world.notice(agent("alpenglow"), &name).await;
    world.restart_with(|_| {}).await;
    world.clock.advance(NOTICE);
    world.restart_with(|_| {}).await;
    let ended = world.ended(&name).await;
    world.restart_with(|_| {}).await;
    assert_eq!(world.relationship(&name).await, ended);
    assert_eq!(world.story(&name).await, pairs(&[GIVEN, BY_ITSELF]));
}

#[test]
fn of_several_replicas_one_ends_a_relationship_that_is_due() {
    testkit::database::on_postgres(async |database| {
        let world = World::start("public", database).await;
        let mut names = Vec::new();
        for customer in ["a", "b", "c", "d", "e", "f"] {
            world.register_customer(customer, "IT").await;
            let answer = world.accept(customer, "alpenglow", &["office-365"]).await.expect("accepted");
            names.push(answer.relationship.expect("established").name);
            world.notice(agent("alpenglow"), &names[names.len() - 1]).await;
        }
        let replicas = [world.replica().await, world.replica().await];
        world.clock.advance(NOTICE);
        for name in &names {
            world.ended(name).await;
            let story = world.story(name).await;
            assert_eq!(story[2..], pairs(&[("delegation.closed", "system"), BY_ITSELF]), "{name}: once");
        }
        for replica in replicas {
            replica.begin();
            assert!(replica.drained(Duration::from_secs(10)).await, "nothing keeps it");
        }
    });
}

#[test]
fn aip_163_asked_first_it_writes_nothing_at_all() {
    testkit::database::on_postgres(async |database| {
        let world = World::start("public", database).await;
        let name = world.established(&["azure-ad"]).await.name;
        let before = world.contents();
        assert!(before.contains(name.rsplit('/').next().expect("an id")), "the dump is of this database");
        let foretold = |effective_time| wire::RequestTerminationRequest {
            effective_time,
            validate_only: true,
            request_id: "01a00000-0000-7000-8000-000000000001".to_owned(),
            ..request(&name)
        };
        let ended = world.terminate(agent("alpenglow"), foretold(None)).await.expect("nothing blocks it");
        assert_eq!((ended.state(), ended.delegated_services.len()), (wire::RelationshipState::Terminated, 0));
        let later = at(world.clock.now().plus(NOTICE));
        let noticed = world.terminate(admin("cedar"), foretold(later)).await.expect("a notice passes");
        assert_eq!(
            (noticed.state(), noticed.termination.expect("as if").effective_time),
            (wire::RelationshipState::Terminating, later)
        );
        assert_eq!(world.contents(), before);
        world.feed("mail", "alpenglow", wire::SubscriptionStatus::Active).await;
        let before = world.contents();
        let refused = world.terminate(agent("alpenglow"), foretold(None)).await.expect_err("N41");
        assert_eq!(reasons(&refused), ["TERMINATION_BLOCKED"]);
        assert_eq!(world.contents(), before);
    });
}

async fn d4_the_side_that_gave_notice_takes_it_back_and_no_other(database: Database) {
    let world = World::start("public", database).await;
    let name = world.established(&["office-365"]).await.name;
    let none = world.cancel(agent("alpenglow"), &name).await.expect_err("there is none");
    assert_eq!(told(&none).1, "RELATIONSHIP_NOT_TERMINATING");
    for (giver, other) in [(agent("alpenglow"), admin("cedar")), (admin("cedar"), agent("alpenglow"))] {
        world.notice(giver, &name).await;
        let refused = world.cancel(other, &name).await.expect_err("it is not its own");
        assert_eq!(
            told(&refused),
            (Code::FailedPrecondition, "TERMINATION_OF_OTHER_SIDE".into(), "D4".into(), name.clone())
        );
        let twice = world.terminate(other, request(&name)).await.expect_err("it was requested");
        assert_eq!(told(&twice).1, "RELATIONSHIP_NOT_ACTIVE");
        let active = world.cancel(giver, &name).await.expect("its own");
        assert_eq!((active.state(), active.termination), (wire::RelationshipState::Active, None));
        assert_eq!(active.delegated_services, ["office-365"], "nothing had ended");
    }
    let kinds: Vec<String> = world.story(&name).await.into_iter().map(|(kind, _)| kind).skip(1).collect();
    assert_eq!(kinds, ["relationship.terminationRequested", "relationship.terminationCancelled"].repeat(2));
    // The timers of both are still set. A third notice, later than theirs, is kept when its own time has come.
    world.clock.advance(NOTICE / 2);
    world.notice(agent("alpenglow"), &name).await;
    let other =
        world.accept("dunes", "alpenglow", &[]).await.expect("accepted").relationship.expect("established").name;
    let effective_time = at(world.clock.now().plus(NOTICE / 2));
    let earlier = wire::RequestTerminationRequest { effective_time, ..request(&other) };
    world.terminate(agent("alpenglow"), earlier).await.expect("a notice passes");
    world.clock.advance(NOTICE / 2);
    world.ended(&other).await;
    assert_eq!(world.relationship(&name).await.state(), wire::RelationshipState::Terminating);
    world.clock.advance(NOTICE / 2);
    world.ended(&name).await;
}

async fn i12_others_learn_nothing_and_readers_end_nothing(database: Database) {
    let world = World::start("public", database).await;
    let name = world.established(&[]).await.name;
    let nobody = "customers/cedar/relationships/01a00000-0000-7000-8000-000000000000";
    for by in [agent("birchwood"), admin("dunes")] {
        for of in [&name, nobody] {
            let refused = world.terminate(by, request(of)).await.expect_err("I12");
            assert_eq!(told(&refused), (Code::NotFound, "RESOURCE_NOT_FOUND".into(), "I12".into(), of.to_owned()));
            assert_eq!(told(&world.cancel(by, of).await.expect_err("I12")).0, Code::NotFound);
            let list = wire::ListTerminationBlockersRequest { name: of.to_owned() };
            let listed = world.relationships().list_termination_blockers(world.by(by, list)).await;
            assert_eq!(told(&listed.expect_err("I12")).0, Code::NotFound);
        }
    }
    let seller = Identity { roles: &["sales_agent"], ..agent("alpenglow") };
    for by in [seller, Identity { roles: &["reader"], ..admin("cedar") }] {
        let refused = world.terminate(by, request(&name)).await.expect_err("N61, N64");
        assert_eq!(told(&refused).1, "ROLE_REQUIRED");
    }
    assert_eq!(world.relationship(&name).await.etag, "v1");
}

async fn n47_a_notice_out_of_range_names_the_bounds(database: Database) {
    let world = World::start("public", database).await;
    let name = world.established(&[]).await.name;
    let effective_time = at(world.clock.now().plus(Duration::from_hours(24 * 366)));
    let late = wire::RequestTerminationRequest { effective_time, ..request(&name) };
    let refused = world.terminate(agent("alpenglow"), late).await.expect_err("it is too long");
    assert_eq!(told(&refused), (Code::InvalidArgument, "DURATION_OUT_OF_RANGE".into(), "N47".into(), name.clone()));
    let info = refused.get_details_error_info().expect("every refusal has it");
    assert_eq!((info.metadata["minimum"].as_str(), info.metadata["maximum"].as_str()), ("0 days", "365 days"));
    let malformed =
        wire::RequestTerminationRequest { effective_time: Some(Timestamp { seconds: 0, nanos: -1 }), ..request(&name) };
    let refused = world.terminate(agent("alpenglow"), malformed).await.expect_err("it is no time");
    assert_eq!(told(&refused).1, "FIELD_INVALID");
}
