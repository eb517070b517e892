//! The invariants of the domain, after every step of random stories, each story played in every cloud.
//!
//! A failure names the invariant that broke, the cloud and the command, and prints the shortest story that breaks it. The
//! stories are the same in every run; `PROPTEST_RNG_SEED` tells others and `PROPTEST_CASES` more.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use clock::Time;
use cloud::{CountryCode, MarketTable, Policy, ServiceId, TenantId};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, TestCaseError, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};

use super::command::{Accept, Command, Offer, Outcome, Refusal, Replace};
use super::samples::{
    CLOUDS, NOW, agreement, country, customer, delegation, home, partner, policy, relationship, service, subscription,
    tenant,
};
use super::{Records, World};
use crate::domain::acceptance::{self, Law, Obstacle};
use crate::domain::access::{Action, Decision, TargetKind};
use crate::domain::agreement::Acceptance;
use crate::domain::delegation::{self as delegations, Delegation, End};
use crate::domain::directory::{Partner, Status, Tier};
use crate::domain::relationship::{Relationship, State, Type};
use crate::domain::subscription::{Status as SubscriptionStatus, Subscription};
use crate::domain::termination::{self, CannotRequest, Side, Termination};

/// Three partners in good standing, an advisor, four that cannot be accepted, and nobody's id.
const PARTNERS: [&str; 8] = ["north", "south", "west", "sage", "far", "unsigned", "suspended", "stranger"];
/// Three customers in good standing, two that are partners too, one abroad, and nobody's id.
const CUSTOMERS: [&str; 7] = ["alfa", "bravo", "charlie", "south", "sage", "abroad", "stranger"];
/// All but the last are delegable somewhere; the third not everywhere.
const SERVICES: [&str; 4] = ["azure-ad", "office-365", "azure", "telephony"];

fn asker() -> impl Strategy<Value = TenantId> {
    prop_oneof![9 => select(&PARTNERS[..4]), 1 => select(&PARTNERS[4..])].prop_map(tenant)
}

fn asked() -> impl Strategy<Value = TenantId> {
    prop_oneof![9 => select(&CUSTOMERS[..3]), 1 => select(&CUSTOMERS[3..])].prop_map(tenant)
}

fn services() -> impl Strategy<Value = BTreeSet<ServiceId>> {
    let wanted = [0.7, 0.6, 0.15, 0.03].map(proptest::bool::weighted);
    wanted.prop_map(|wanted| {
        let chosen = SERVICES.iter().zip(wanted).filter(|(_, wanted)| *wanted);
        chosen.map(|(id, _)| service(id)).collect()
    })
}

fn accept() -> impl Strategy<Value = Command> {
    let kind = prop_oneof![7 => select(vec![Type::Reseller]), 3 => select(&Type::ALL[1..])];
    let consent = prop_oneof![
        7 => select(vec![Offer::InForce]),
        3 => select(vec![Offer::Nothing, Offer::OldVersion, Offer::InFuture]),
    ];
    let replace = prop_oneof![
        5 => select(vec![Replace::Nothing]),
        4 => select(vec![Replace::Holders]),
        1 => any::<usize>().prop_map(Replace::Picked),
    ];
    let manners = (
        proptest::bool::weighted(0.95),
        prop_oneof![19 => select(vec!["global_admin"]), 1 => select(vec!["billing_admin"])],
    );
    (asker(), asked(), kind, services(), consent, replace, manners).prop_map(
        |(partner, customer, kind, services, consent, replace, (link_active, role))| {
            Command::Accept(Accept { partner, customer, kind, services, link_active, consent, replace, role })
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let write = (asked(), select(vec!["s-1", "s-2"]), select(&SERVICES[..3]), asker(), asker(), 0..8_u8);
    let days = prop_oneof![3 => Just(None), 3 => (1..30_u32).prop_map(Some), 1 => select(vec![Some(365), Some(366)])];
    prop_oneof![
        10 => accept(),
        3 => any::<usize>().prop_map(|pick| Command::Remove { pick }),
        3 => (any::<usize>(), asker()).prop_map(|(pick, to)| Command::Reassign { pick, to }),
        2 => write.prop_map(|(customer, id, on, seller, provisioner, parts)| Command::WriteSubscription {
            customer,
            id,
            service: service(on),
            original_reseller: (parts & 1 != 0).then_some(seller),
            provisioned_by: (parts & 2 != 0).then_some(provisioner),
            suspended: parts & 4 != 0,
        }),
        2 => (any::<usize>(), select(&Side::ALL), days)
            .prop_map(|(pick, side, days)| Command::Terminate { pick, side, days }),
        1 => (any::<usize>(), select(&Side::ALL)).prop_map(|(pick, side)| Command::Cancel { pick, side }),
        1 => (0..40_u32).prop_map(|days| Command::Wait { days }),
    ]
}

fn story() -> impl Strategy<Value = Vec<Command>> {
    vec(command(), 1..24)
}

/// The same cases in every run, unless somebody asks for others.
fn config() -> ProptestConfig {
    let given = ProptestConfig::default();
    let rng_seed = match given.rng_seed {
        RngSeed::Fixed(seed) => RngSeed::Fixed(seed),
        RngSeed::Random => RngSeed::Fixed(1),
    };
    ProptestConfig { rng_seed, failure_persistence: None, ..given }
}

/// A second country of the cloud, and one that the partners of the first may not sell to.
fn abroad(cloud: &str) -> (CountryCode, CountryCode) {
    let known = [("public", "IT", "US"), ("china", "CN", "US"), ("germany", "IT", "MC"), ("usgov", "GU", "CA")];
    let (_, second, foreign) = known.into_iter().find(|(of, ..)| *of == cloud).unwrap();
    (country(second), country(foreign))
}

/// A world with its tenants and a past.
fn begin<'a>(law: Law<'a>, cloud: &str) -> World<'a> {
    let mut world = World::new(law);
    let (home, (second, foreign)) = (home(cloud), abroad(cloud));
    let plain = |id: &str, country: CountryCode| partner(id, country, law.policy);
    let signed_contract = "another-contract".to_owned();
    let partners = [
        plain("north", home),
        plain("south", second),
        plain("west", home),
        Partner { tier: Tier::Advisor, ..plain("sage", home) },
        plain("far", foreign),
        Partner { signed_contract, ..plain("unsigned", home) },
        Partner { status: Status::Suspended, ..plain("suspended", home) },
    ];
    world.records.partners = partners.map(|partner| (partner.id.clone(), partner)).into();
    let customers = [
        customer("alfa", home),
        customer("bravo", second),
        customer("charlie", home),
        customer("south", second),
        customer("sage", home),
        customer("abroad", foreign),
    ];
    world.records.customers = customers.map(|customer| (customer.id.clone(), customer)).into();
    remember(&mut world);
    world
}

/// The past: `west` was `bravo`'s partner, `south` still is, and `charlie` knows an agreement of old.
fn remember(world: &mut World<'_>) {
    let (bravo, before) = (tenant("bravo"), Time::from_micros(NOW.micros() - 1_000_000));
    let ended = relationship(world.mint(), &tenant("west"), &bravo, Type::Reseller);
    let ended = Relationship { state: State::Terminated, terminate_time: Some(before), ..ended };
    let ending = relationship(world.mint(), &tenant("south"), &bravo, Type::Reseller);
    let termination = Some(Termination {
        side: Side::Customer,
        by: "customers/bravo/users/ada".to_owned(),
        reason: String::new(),
        request_time: before,
        effective_time: NOW.plus(Duration::from_hours(24 * 20)),
    });
    let ending = Relationship { state: State::Terminating, termination, ..ending };
    // One that sold what still runs.
    let tied = relationship(world.mint(), &tenant("north"), &bravo, Type::Reseller);
    let sold =
        Subscription { original_reseller: Some(tenant("north")), ..subscription(&bravo, "s-1", service("azure-ad")) };
    world.records.subscriptions.insert((bravo.clone(), "s-1".to_owned()), sold);
    let by = "partners/west".to_owned();
    let end = Some(End { time: before, by, reason: String::new() });
    let closed = delegation(world.mint(), &ended, service("office-365"));
    let closed = Delegation { state: delegations::State::Closed, end, version: 2, ..closed };
    world.records.delegations.insert(closed.id, closed);
    for past in [ended, ending, tied] {
        world.records.acceptor_roles.insert(past.id, "global_admin");
        world.records.relationships.insert(past.id, past);
    }
    if let Some(required) = &world.law.policy.required_agreement {
        let current = agreement(world.mint(), &bravo, &required.id);
        let current = Acceptance { accept_time: before, ..current };
        let old = agreement(world.mint(), &tenant("charlie"), &required.id);
        let old = Acceptance { version: "0".to_owned(), ..old };
        world.records.agreements = vec![old, current];
    }
}

/// A step of a story.
struct Step<'a> {
    before: World<'a>,
    command: Command,
    after: World<'a>,
    outcome: Outcome,
    is_last: bool,
}

type Holds = Result<(), String>;

/// Read once: a story is short.
static LAWS: LazyLock<(MarketTable, [Policy; 4])> = LazyLock::new(|| (MarketTable::embedded(), CLOUDS.map(policy)));

/// Plays a story in every cloud and looks at every step.
fn play(story: &[Command], holds: impl Fn(&Step<'_>) -> Holds) -> Result<(), TestCaseError> {
    let (markets, policies) = &*LAWS;
    for (cloud, policy) in CLOUDS.into_iter().zip(policies) {
        let mut world = begin(Law { policy, markets }, cloud);
        for (index, command) in story.iter().enumerate() {
            let before = world.clone();
            let outcome = world.apply(command);
            let is_last = index + 1 == story.len();
            let step = Step { before, command: command.clone(), after: world, outcome, is_last };
            if let Err(broken) = holds(&step) {
                let outcome = &step.outcome;
                return Err(TestCaseError::fail(format!("{broken}\nin {cloud}, after {command:?}: {outcome:?}")));
            }
            world = step.after;
        }
    }
    Ok(())
}

/// `Err` with the invariant that broke.
fn expect(holds: bool, broken: impl FnOnce() -> String) -> Holds {
    if holds { Ok(()) } else { Err(broken()) }
}

fn pairs() -> impl Iterator<Item = (TenantId, TenantId)> {
    PARTNERS.iter().flat_map(|partner| CUSTOMERS.iter().map(|customer| (tenant(partner), tenant(customer))))
}

fn active(records: &Records) -> impl Iterator<Item = &Delegation> {
    records.delegations.values().filter(|held| held.state == delegations::State::Active)
}

/// I1: no delegation is active unless its relationship is in force, and it is of the same partner and customer.
fn i1(step: &Step<'_>) -> Holds {
    for held in active(&step.after.records) {
        let fits = step.after.records.relationships.get(&held.relationship).is_some_and(|on| {
            on.state != State::Terminated && (&on.partner, &on.customer) == (&held.partner, &held.customer)
        });
        expect(fits, || format!("I1: {held:?} is active without its relationship"))?;
    }
    Ok(())
}

/// I2: where the cloud says so, a service of a customer has at most one holder that transacts; and who transacts holds
/// exclusively, which is what the constraint of the store stands on.
fn i2(step: &Step<'_>) -> Holds {
    let one_holder = step.after.law.policy.delegation.exclusive_holder;
    let mut holders = BTreeMap::new();
    for held in active(&step.after.records) {
        let transacts = step.after.records.relationships[&held.relationship].kind.transacts();
        let marked = held.exclusive == (one_holder && transacts);
        expect(marked, || format!("I2: {held:?}, transacting: {transacts}, one holder: {one_holder}"))?;
        if transacts {
            *holders.entry((&held.customer, &held.service)).or_insert(0) += 1;
        }
    }
    match holders.into_iter().find(|(_, count)| one_holder && *count > 1) {
        Some((of, count)) => Err(format!("I2: {of:?} has {count} transacting holders")),
        None => Ok(()),
    }
}

/// I3: delegations change no fact of a subscription, nor any answer that stands on one alone.
fn i3(step: &Step<'_>) -> Holds {
    if matches!(step.command, Command::WriteSubscription { .. }) {
        return Ok(());
    }
    let (before, after) = (&step.before, &step.after);
    let same = before.records.subscriptions == after.records.subscriptions;
    expect(same, || "I3: a subscription has changed".to_owned())?;
    if is_of_relationship(&step.command) {
        return Ok(());
    }
    for subscription in after.records.subscriptions.values() {
        let of = &subscription.customer;
        let bound = |world: &World<'_>, partner| world.in_force(partner, of, None).is_some();
        let agreed = before.agreement_of(of).is_some() == after.agreement_of(of).is_some();
        for partner in PARTNERS.map(tenant).iter().filter(|partner| bound(before, partner)) {
            for action in COMMERCIAL.into_iter().filter(|action| agreed || !is_order(*action)) {
                let was = before.check_subscription(partner, action, subscription);
                let is = after.check_subscription(partner, action, subscription);
                expect(was == is, || format!("I3: {partner} {action:?} {subscription:?}: was {was:?}, is {is:?}"))?;
            }
        }
    }
    Ok(())
}

/// Whether a command is about relationships and may end one, with whatever that gave.
fn is_of_relationship(command: &Command) -> bool {
    match command {
        Command::Terminate { .. } | Command::Cancel { .. } | Command::Wait { .. } => true,
        Command::Accept(_) | Command::Remove { .. } | Command::Reassign { .. } | Command::WriteSubscription { .. } => {
            false
        }
    }
}

/// What delegated admin privileges alone never give (R6-R11). A transition is left out: some clouds ask for both (N18).
const COMMERCIAL: [Action; 5] = [
    Action::ReceiveInvoice,
    Action::RemoveSeats,
    Action::OrderAddOn,
    Action::MigrateSubscription,
    Action::ChangePartnerOfRecord,
];

/// What also waits for the agreement (N31).
fn is_order(action: Action) -> bool {
    matches!(action, Action::OrderAddOn | Action::MigrateSubscription)
}

/// I4: taking privileges away, or handing them over, leaves every relationship, what binds it and what it gives.
fn i4(step: &Step<'_>) -> Holds {
    if !matches!(step.command, Command::Remove { .. } | Command::Reassign { .. }) {
        return Ok(());
    }
    relationships_stay(&step.before, &step.after)
}

fn relationships_stay(before: &World<'_>, after: &World<'_>) -> Holds {
    let same = before.records.relationships == after.records.relationships;
    expect(same, || "I4: a relationship has changed".to_owned())?;
    for (partner, customer) in pairs() {
        let bound = (before.obligations(&partner, &customer), after.obligations(&partner, &customer));
        expect(bound.0 == bound.1, || format!("I4: obligations of {partner} to {customer}: {bound:?}"))?;
        for service in &before.law.policy.services {
            let ask = |world: &World<'_>, action| world.check_service(&partner, &customer, action, &service.id);
            let buy = [before, after].map(|world| ask(world, Action::ProvisionSubscription));
            expect(buy[0] == buy[1], || format!("I4: what {partner} may buy for {customer}: {buy:?}"))?;
            // R29, R48: support outlives the privileges; only its grant may become another.
            let help = [before, after].map(|world| ask(world, Action::OpenSupportRequest).is_allowed());
            expect(help[0] == help[1], || format!("I4: whether {partner} may help {customer}: {help:?}"))?;
        }
    }
    Ok(())
}

/// I6: nothing comes to be but by an acceptance, and a refusal changes nothing.
fn i6(step: &Step<'_>) -> Holds {
    let (before, after) = (&step.before.records, &step.after.records);
    if matches!(step.outcome, Outcome::Refused(_)) {
        let unchanged = Records { minted: before.minted, ..after.clone() } == *before;
        expect(unchanged, || "I6: a refusal has changed something".to_owned())?;
    }
    let Command::Accept(accept) = &step.command else {
        let names = |records: &Records| records.relationships.keys().copied().collect::<Vec<_>>();
        let kept = (names(before), &before.agreements) == (names(after), &after.agreements);
        return expect(kept, || "I6: a relationship or agreement without an acceptance".to_owned());
    };
    let new: Vec<_> =
        after.relationships.values().filter(|held| !before.relationships.contains_key(&held.id)).collect();
    let its_own = new.iter().all(|held| (&held.partner, &held.customer) == (&accept.partner, &accept.customer));
    expect(its_own && new.len() <= 1, || format!("I6: relationships nobody accepted: {new:?}"))?;
    let accepted = matches!(step.outcome, Outcome::Accepted(_));
    expect(accepted == may_accept(&step.before, accept), || "I6: accepted and acceptable differ".to_owned())
}

/// The conditions of an acceptance, told once more and in another way.
fn may_accept(world: &World<'_>, accept: &Accept) -> bool {
    let (policy, records) = (world.law.policy, &world.records);
    let (Some(partner), Some(customer)) =
        (records.partners.get(&accept.partner), records.customers.get(&accept.customer))
    else {
        return false;
    };
    let sells = partner.status == Status::Active && partner.signed_contract == policy.partner_contract.id;
    let transacts = records.partners.get(&accept.customer).is_some_and(|partner| partner.tier.transacts());
    let agreed = policy.required_agreement.is_none()
        || world.agreement_of(&accept.customer).is_some()
        || accept.consent == Offer::InForce;
    let known = accept.services.iter().all(|asked| policy.services.iter().any(|service| service.id == *asked));
    let enough = policy.delegation.optional || !accept.services.is_empty();
    let (_, answer) = world.call(accept);
    let theirs: Vec<&Delegation> = active(records).filter(|held| held.customer == accept.customer).collect();
    // Where a service has one holder, what the partner holds as an advisor does not serve it as a reseller.
    let one_holder = policy.delegation.exclusive_holder && accept.kind.transacts();
    let serves = |held: &Delegation| !one_holder || records.relationships[&held.relationship].kind.transacts();
    let own: BTreeSet<_> =
        theirs.iter().filter(|held| held.partner == accept.partner && serves(held)).map(|held| &held.service).collect();
    let due = |held: &Delegation| accept.services.contains(&held.service) && !own.contains(&held.service);
    let free = theirs.iter().filter(|held| due(held) && !answer.replace.contains(&held.id)).all(|held| {
        let both_transact = accept.kind.transacts() && records.relationships[&held.relationship].kind.transacts();
        !(policy.delegation.exclusive_holder && both_transact)
    });
    let replaced = answer.replace.iter().all(|id| theirs.iter().any(|held| held.id == *id && due(held)));
    let meets = meets(world, partner.country, customer.country);
    accept.role == "global_admin"
        && accept.link_active
        && sells
        && !transacts
        && meets
        && agreed
        && known
        && enough
        && free
        && replaced
}

/// One market holds both countries, and the cloud serves both.
fn meets(world: &World<'_>, one: CountryCode, other: CountryCode) -> bool {
    let served = world.law.policy.region.countries.as_ref();
    let markets = world.law.markets.markets();
    served.is_none_or(|served| served.contains(&one) && served.contains(&other))
        && markets.values().any(|market| market.contains(&one) && market.contains(&other))
}

/// I7: a customer is in a partner's list exactly while a relationship has not terminated, and so long only is anything
/// answered but R21.
fn i7(step: &Step<'_>) -> Holds {
    for (partner, customer) in pairs() {
        let mut related = step.after.records.relationships.values();
        let related = related
            .any(|held| held.state != State::Terminated && (&held.partner, &held.customer) == (&partner, &customer));
        let listed = step.after.customers_of(&partner).contains(&customer);
        expect(related == listed, || format!("I7: {customer} in the list of {partner}: {listed}, related: {related}"))?;
        let some = &step.after.law.policy.services[0].id;
        let answer = step.after.check_service(&partner, &customer, Action::ProvisionSubscription, some);
        expect(related == (answer.rule != "R21"), || {
            format!("I7: {partner} about {customer}, related: {related}: {answer:?}")
        })?;
    }
    Ok(())
}

/// I8: whoever accepted held the permission, and the agreement was there by then.
fn i8(step: &Step<'_>) -> Holds {
    let (policy, records) = (step.after.law.policy, &step.after.records);
    for held in records.relationships.values() {
        let role = records.acceptor_roles.get(&held.id).map(|role| BTreeSet::from([(*role).to_owned()]));
        let permitted = role.is_some_and(|role| policy.permits("invitations.accept", &role));
        expect(permitted && !held.acceptor.is_empty(), || format!("I8: who accepted {held:?}?"))?;
        let Some(required) = &policy.required_agreement else {
            continue;
        };
        let agreed = records.agreements.iter().any(|agreed| {
            agreed.customer == held.customer
                && (&agreed.agreement, &agreed.version) == (&required.id, &required.version)
                && agreed.accept_time <= held.accept_time
        });
        expect(agreed, || format!("I8: no agreement before {held:?}"))?;
    }
    Ok(())
}

/// I9: no relationship joins two markets, or whom the cloud does not serve or know.
fn i9(step: &Step<'_>) -> Holds {
    let records = &step.after.records;
    for held in records.relationships.values() {
        let partner = records.partners.get(&held.partner).map(|partner| partner.country);
        let customer = records.customers.get(&held.customer).map(|customer| customer.country);
        let meet = partner.zip(customer).is_some_and(|(one, other)| meets(&step.after, one, other));
        expect(meet, || format!("I9: {partner:?} and {customer:?} cannot meet in {held:?}"))?;
    }
    Ok(())
}

/// I11: what has ended stays as it is, nothing vanishes, and an end grows the version by one.
fn i11(step: &Step<'_>) -> Holds {
    let (before, after) = (&step.before.records, &step.after.records);
    for was in before.delegations.values() {
        let is = &after.delegations[&was.id];
        let ended = Delegation { state: is.state, end: is.end.clone(), version: was.version + 1, ..was.clone() };
        let ends =
            was.state == delegations::State::Active && is.state != delegations::State::Active && is.end.is_some();
        expect(is == was || (ends && *is == ended), || format!("I11: {was:?} became {is:?}"))?;
    }
    for was in before.relationships.values() {
        let is = &after.relationships[&was.id];
        let (state, termination, terminate_time) = (is.state, is.termination.clone(), is.terminate_time);
        let next = Relationship { state, termination, terminate_time, version: was.version + 1, ..was.clone() };
        let goes = match (was.state, is.state) {
            (State::Active, State::Terminating | State::Terminated) => is.termination.is_some(),
            (State::Terminating, State::Active) => is.termination.is_none(),
            (State::Terminating, State::Terminated) => is.termination == was.termination,
            _ => false,
        };
        let dated = is.terminate_time.is_some() == (is.state == State::Terminated);
        expect(is == was || (goes && dated && *is == next), || format!("I11: {was:?} became {is:?}"))?;
    }
    Ok(())
}

/// N41: nothing ends at once, or in time, while an active subscription ties the partner; and what is due and free has ended.
fn n41(step: &Step<'_>) -> Holds {
    let (before, after) = (&step.before.records, &step.after.records);
    for is in after.relationships.values() {
        let active = |held: &&Subscription| held.status == SubscriptionStatus::Active;
        let tied = |held: &Subscription| held.customer == is.customer && held.ties(&is.partner);
        let tied = after.subscriptions.values().filter(active).any(tied);
        let was = before.relationships.get(&is.id).map(|was| was.state);
        let ends = is.state == State::Terminated && was != Some(State::Terminated);
        expect(!(ends && tied), || format!("N41: {is:?} ended though it is tied"))?;
        let looked = matches!(step.command, Command::Wait { .. });
        let late = looked && termination::is_due(is, step.after.now) && !tied;
        expect(!late, || format!("N41: {is:?} goes on though its time has come"))?;
    }
    Ok(())
}

/// R46: handing over ends one delegation and begins one on the same service, for a partner whose relationship is active.
fn reassigned(step: &Step<'_>) -> Holds {
    let (Outcome::Done, Command::Reassign { to, .. }) = (&step.outcome, &step.command) else {
        return Ok(());
    };
    let (before, after) = (&step.before.records.delegations, &step.after.records.delegations);
    let changed = after.values().filter(|is| before.get(&is.id) != Some(*is));
    let (new, ended): (Vec<_>, Vec<_>) = changed.partition(|is| !before.contains_key(&is.id));
    let ([new], [ended]) = (new.as_slice(), ended.as_slice()) else {
        return Err(format!("R46: {ended:?} became {new:?}"));
    };
    let on = &step.before.records.relationships[&new.relationship];
    let passed = (&new.customer, &new.service) == (&ended.customer, &ended.service);
    let states = (ended.state, new.state) == (delegations::State::Reassigned, delegations::State::Active);
    let to_another = new.partner == *to && ended.partner != *to && on.state == State::Active;
    expect(passed && states && to_another, || format!("R46: {ended:?} became {new:?} on {on:?}"))
}

/// I12: what one customer does touches no other, and a plan speaks of the customer's own and of the asking partner.
fn i12(step: &Step<'_>) -> Holds {
    let customer = match &step.command {
        Command::Accept(accept) => Some(accept.customer.clone()),
        Command::WriteSubscription { customer, .. } => Some(customer.clone()),
        // What time brings, it brings to all.
        Command::Wait { .. } => return Ok(()),
        Command::Remove { .. } | Command::Reassign { .. } | Command::Terminate { .. } | Command::Cancel { .. } => None,
    };
    let (before, after) = (&step.before.records, &step.after.records);
    let touched = after.delegations.values().filter(|is| before.delegations.get(&is.id) != Some(*is));
    let touched: BTreeSet<_> = touched.map(|held| &held.customer).collect();
    let alone = touched.len() <= 1 && touched.iter().all(|of| customer.as_ref().is_none_or(|customer| customer == *of));
    expect(alone, || format!("I12: delegations of {touched:?} have changed"))?;
    if let (Outcome::Accepted(plan), Command::Accept(accept)) = (&step.outcome, &step.command) {
        let theirs = plan.held.iter().chain(&plan.replace).all(|held| held.customer == accept.customer);
        let own = plan.held.iter().all(|held| held.partner == accept.partner);
        let of_others = plan.replace.iter().all(|held| held.partner != accept.partner);
        expect(theirs && own && of_others, || format!("I12: {plan:?}"))?;
    }
    Ok(())
}

/// I12: every answer to a partner is the same in a world in which no other partner was ever accepted.
fn answers_are_its_own(world: &World<'_>) -> Holds {
    for partner in PARTNERS.map(tenant) {
        let mut alone = world.clone();
        alone.records.relationships.retain(|_, held| held.partner == partner);
        alone.records.delegations.retain(|_, held| held.partner == partner);
        let lists = [world, &alone].map(|world| world.customers_of(&partner));
        expect(lists[0] == lists[1], || format!("I12: the list of {partner} shows others: {lists:?}"))?;
        for customer in &CUSTOMERS.map(tenant)[..3] {
            let (is, own) = (answers(world, &partner, customer), answers(&alone, &partner, customer));
            expect(is == own, || format!("I12: answers to {partner} about {customer}: {is:?}, alone {own:?}"))?;
        }
    }
    Ok(())
}

fn answers(world: &World<'_>, partner: &TenantId, customer: &TenantId) -> Vec<Decision> {
    let mut answers = Vec::new();
    for action in Action::ALL {
        if action.target() != TargetKind::Subscription {
            let services = world.law.policy.services.iter();
            answers.extend(services.map(|service| world.check_service(partner, customer, action, &service.id)));
        }
        if action.target() != TargetKind::Service {
            let theirs = world.records.subscriptions.values().filter(|held| held.customer == *customer);
            answers.extend(theirs.map(|subscription| world.check_subscription(partner, action, subscription)));
        }
    }
    answers
}

/// R18, R43: the same link a second time grants nothing that is there, and asks for no agreement.
fn again(step: &Step<'_>) -> Holds {
    let (Outcome::Accepted(_), Command::Accept(accept)) = (&step.outcome, &step.command) else {
        return Ok(());
    };
    let again = Accept { replace: Replace::Nothing, consent: Offer::Nothing, ..accept.clone() };
    let (invitation, answer) = step.after.call(&again);
    let facts = step.after.facts(&invitation, &answer);
    let decided = acceptance::decide(&invitation, &answer, &facts, &step.after.law, step.after.now);
    let plan = decided.map_err(|obstacles: Vec<Obstacle>| format!("R18: refused the second time: {obstacles:?}"))?;
    let nothing = plan.grant.is_empty() && plan.replace.is_empty() && plan.consent.is_none();
    let held: BTreeSet<_> = plan.held.iter().map(|held| held.service.clone()).collect();
    expect(nothing && held == accept.services, || format!("R18: granted the second time: {plan:?}"))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn i1_no_delegation_is_active_without_its_relationship(story in story()) {
        play(&story, i1)?;
    }

    #[test]
    fn i2_r24_a_service_has_one_transacting_holder_where_the_cloud_says_so(story in story()) {
        play(&story, i2)?;
    }

    #[test]
    fn i3_delegations_change_no_subscription_and_no_commercial_answer(story in story()) {
        play(&story, i3)?;
    }

    #[test]
    fn i4_relationships_and_obligations_outlive_single_delegations(story in story()) {
        play(&story, i4)?;
    }

    #[test]
    fn i4_relationships_and_obligations_outlive_all_delegations(story in story()) {
        play(&story, |step| {
            if !step.is_last {
                return Ok(());
            }
            let mut stripped = step.after.clone();
            for pick in 0..stripped.records.delegations.len() {
                stripped.apply(&Command::Remove { pick });
            }
            expect(active(&stripped.records).next().is_none(), || "R27: not every delegation can be removed".to_owned())?;
            relationships_stay(&step.after, &stripped)
        })?;
    }

    #[test]
    fn i6_nothing_exists_before_an_acceptance_and_refusals_change_nothing(story in story()) {
        play(&story, i6)?;
    }

    #[test]
    fn i7_a_customer_is_listed_exactly_while_a_relationship_is_in_force(story in story()) {
        play(&story, i7)?;
    }

    #[test]
    fn i8_every_relationship_has_an_acceptor_and_the_agreement_it_needs(story in story()) {
        play(&story, i8)?;
    }

    #[test]
    fn i9_no_relationship_joins_two_markets(story in story()) {
        play(&story, i9)?;
    }

    #[test]
    fn i11_what_has_ended_never_changes(story in story()) {
        play(&story, i11)?;
    }

    #[test]
    fn n41_a_relationship_ends_when_nothing_ties_it_and_not_before(story in story()) {
        play(&story, n41)?;
    }

    #[test]
    fn i12_customers_touch_only_their_own_and_partners_see_only_their_own(story in story()) {
        play(&story, |step| {
            i12(step)?;
            if step.is_last { answers_are_its_own(&step.after) } else { Ok(()) }
        })?;
    }

    #[test]
    fn r46_handing_over_moves_one_delegation_to_a_partner_with_an_active_relationship(story in story()) {
        play(&story, reassigned)?;
    }

    #[test]
    fn r18_accepting_again_grants_nothing_new(story in story()) {
        play(&story, again)?;
    }
}

/// Whatever is refused every time proves nothing: what the stories reach, cloud by cloud.
#[test]
fn the_stories_reach_every_outcome() {
    let mut runner = TestRunner::new(config());
    let mut reached: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (stories, seen) = (story(), RefCell::new(&mut reached));
    for _ in 0..256 {
        let story = stories.new_tree(&mut runner).unwrap().current();
        let look = |step: &Step<'_>| {
            let cloud = step.after.law.policy.cloud.to_string();
            seen.borrow_mut().entry(cloud).or_default().extend(kinds(step));
            Ok(())
        };
        play(&story, look).unwrap();
    }
    let everywhere = "AlreadyHeld Blocked Cancelled ContractRequired CustomerNotRegistered Ended EndedInTime Granted Held LinkDisabled NewRelationship NoRelationship \
        NotActive NotTerminating Noticed NoticeOutOfRange OtherSide PartnerNotActive Reassigned RegionMismatch Removed Replaced ReplacementInvalid Reused Role \
        SelfDealing ServiceUnknown Waited Written";
    let agreement = "AgreementDateInFuture AgreementRequired Consent";
    for (cloud, special) in [
        ("public", &[agreement, "WithoutDelegation"][..]),
        ("china", &["DelegationMandatory ServiceAlreadyDelegated"]),
        ("germany", &[agreement, "DelegationMandatory"]),
        ("usgov", &[agreement, "DelegationMandatory"]),
    ] {
        let expected = special.iter().flat_map(|names| names.split_whitespace()).chain(everywhere.split_whitespace());
        let expected: BTreeSet<String> = expected.map(str::to_owned).collect();
        assert_eq!(reached[cloud], expected, "{cloud}");
    }
}

/// The names of everything that happened in a step.
fn kinds(step: &Step<'_>) -> BTreeSet<String> {
    let plan = match &step.outcome {
        Outcome::Accepted(plan) => plan,
        Outcome::Done => {
            let ended =
                |records: &Records| records.relationships.values().filter(|it| it.state == State::Terminated).count();
            let in_time = matches!(step.command, Command::Wait { .. })
                && ended(&step.before.records) < ended(&step.after.records);
            let names = [Some(done(&step.command)), in_time.then_some("EndedInTime")];
            return names.into_iter().flatten().map(str::to_owned).collect();
        }
        Outcome::Refused(refusal) => return refused(refusal),
    };
    let is_new = step.before.records.relationships.len() < step.after.records.relationships.len();
    let what = [
        (is_new, "NewRelationship"),
        (!is_new, "Reused"),
        (!plan.grant.is_empty(), "Granted"),
        (!plan.held.is_empty(), "Held"),
        (!plan.replace.is_empty(), "Replaced"),
        (plan.consent.is_some(), "Consent"),
        (plan.grant.is_empty() && plan.held.is_empty(), "WithoutDelegation"),
    ];
    what.into_iter().filter(|(is, _)| *is).map(|(_, name)| name.to_owned()).collect()
}

fn done(command: &Command) -> &'static str {
    match command {
        Command::Accept(_) => "Accepted",
        Command::Remove { .. } => "Removed",
        Command::Reassign { .. } => "Reassigned",
        Command::WriteSubscription { .. } => "Written",
        Command::Terminate { days: None, .. } => "Ended",
        Command::Terminate { days: Some(_), .. } => "Noticed",
        Command::Cancel { .. } => "Cancelled",
        Command::Wait { .. } => "Waited",
    }
}

fn refused(refusal: &Refusal) -> BTreeSet<String> {
    let name = |value: &dyn std::fmt::Debug| {
        let text = format!("{value:?}");
        text.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
    };
    match refusal {
        Refusal::Obstacles(obstacles) => obstacles.iter().map(|obstacle| name(obstacle)).collect(),
        Refusal::CannotRequest(CannotRequest::Obstacles(obstacles)) => {
            obstacles.iter().map(|obstacle| name(obstacle)).collect()
        }
        Refusal::CannotRequest(why) => BTreeSet::from([name(why)]),
        Refusal::CannotCancel(why) => BTreeSet::from([name(why)]),
        Refusal::CannotReassign(why) => BTreeSet::from([name(why)]),
        Refusal::NotActive(why) => BTreeSet::from([name(why)]),
        Refusal::Role => BTreeSet::from([name(refusal)]),
        Refusal::Nowhere => BTreeSet::new(),
    }
}
