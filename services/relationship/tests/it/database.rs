//! What callers see of a database that is full, crashes, or is followed by another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use api::relationship as wire;
use api::relationship::check_access_request::Target;
use api::relationship::consistency::Requirement;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::{Connection as _, PgConnection};
use testkit::Database;
use testkit::postgres::{Durability, Server, programs};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::world::{BILLING, OPERATOR, World, admin, told};

fn customer(number: u32) -> wire::CreateCustomerRequest {
    wire::CreateCustomerRequest {
        customer_id: format!("tenant-{number}"),
        customer: Some(wire::Customer {
            display_name: "x".repeat(60),
            country: "IT".to_owned(),
            ..wire::Customer::default()
        }),
        request_id: format!("6f2dbb3e-4d9f-4a53-9a8e-{number:012}"),
    }
}

async fn create(world: &World, number: u32) -> Result<wire::Customer, Status> {
    let created = world.directory().create_customer(world.by(OPERATOR, customer(number))).await?;
    Ok(created.into_inner())
}

async fn get(world: &World, number: u32) -> Result<wire::Customer, Status> {
    let name = format!("customers/tenant-{number}");
    let got = world.directory().get_customer(world.by(OPERATOR, wire::GetCustomerRequest { name })).await?;
    Ok(got.into_inner())
}

/// A refusal that passes and says so.
fn assert_passes(refused: &Status) {
    let (code, reason, rule, resource) = told(refused);
    assert_eq!(
        (code, reason.as_str(), rule.as_str(), resource.as_str()),
        (Code::Unavailable, "DEPENDENCY_UNAVAILABLE", "AIP-194", ""),
        "{refused:?}"
    );
    assert!(refused.get_details_retry_info().is_some(), "{refused:?}");
}

#[test]
fn a_full_disk_refuses_a_change_which_succeeds_when_there_is_room() {
    testkit::database::on_sqlite(async |database| {
        let mut world = World::start_with("public", database, |settings| settings.sqlite_pages_max = Some(110)).await;
        let mut kept = Vec::new();
        let refused = loop {
            let number = u32::try_from(kept.len()).expect("a small file");
            match create(&world, number).await {
                Ok(created) => kept.push(created),
                Err(refused) => break refused,
            }
        };
        assert_passes(&refused);
        assert_eq!(
            refused.message(),
            "the database has no room left, and nothing was changed; retry with the same request_id"
        );
        assert!(!kept.is_empty());
        let number = u32::try_from(kept.len()).expect("a small file");
        assert_eq!(told(&get(&world, number).await.expect_err("nothing was written")).0, Code::NotFound);
        assert_passes(&create(&world, number).await.expect_err("there is still no room"));

        world.restart_with(|settings| settings.sqlite_pages_max = Some(220)).await;
        kept.push(create(&world, number).await.expect("the same request, now that there is room"));
        for (number, created) in (0..).zip(&kept) {
            assert_eq!(get(&world, number).await.expect("it was acknowledged"), *created);
        }
    });
}

const CUSTOMERS: u32 = 60;
const CALLERS: u32 = 6;

#[test]
fn a_crash_of_postgres_loses_no_answer_that_a_repeat_does_not_bring() {
    let mut server = Server::start(&programs().expect("xtask names them"), Durability::None).expect("it starts");
    runtime().block_on(async {
        let database = testkit::database::postgres_of(&server).await.expect("a server makes databases");
        let world = World::start_with("public", database, |settings| settings.wait_max_ms = 300).await;
        let world = Arc::new(world);
        let (answered, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        for caller in 0..CALLERS {
            let (world, answered, ended) = (Arc::clone(&world), Arc::clone(&answered), Arc::clone(&ended));
            testkit::outside(async move {
                for number in (caller..CUSTOMERS).step_by(CALLERS as usize) {
                    while let Err(refused) = create(&world, number).await {
                        assert_passes(&refused);
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        for crash_at in [10, 30] {
            until(|| answered.load(Ordering::Relaxed) >= crash_at).await;
            server.crash().expect("it is told");
            server.start_again().expect("on the same port");
        }
        // A caller that met another refusal has panicked, and never ends.
        until(|| ended.load(Ordering::Relaxed) == CALLERS).await;
        for number in 0..CUSTOMERS {
            let created = get(&world, number).await.expect("it was acknowledged");
            assert_eq!(create(&world, number).await.expect("the first answer again"), created);
        }
    });
}

async fn until(condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(120), async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it comes to pass");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a process has threads")
}

/// Whether `birchwood` may manage the mail of `cedar`, and which server said so is the caller's to find out.
async fn allowed(world: &World, requirement: Option<Requirement>) -> Result<bool, Status> {
    let request = wire::CheckAccessRequest {
        partner: "partners/birchwood".to_owned(),
        customer: "customers/cedar".to_owned(),
        action: wire::Action::ManageService.into(),
        target: Some(Target::Service("office-365".to_owned())),
        consistency: requirement.map(|requirement| wire::Consistency { requirement: Some(requirement) }),
    };
    Ok(world.access().check_access(world.by(BILLING, request)).await?.into_inner().allowed)
}

/// The token of a change.
fn token<T>(response: &tonic::Response<T>) -> String {
    let token = response.metadata().get("mandate-consistency-token").expect("every change has one");
    token.to_str().expect("ASCII").to_owned()
}

async fn tell(url: &str, statement: &'static str) {
    let mut standby = PgConnection::connect(url).await.expect("it answers");
    sqlx::query(statement).execute(&mut standby).await.expect("it obeys");
    standby.close().await.expect("it is there");
}

async fn until_answered(world: &World, requirement: Option<Requirement>, expected: bool) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while allowed(world, requirement.clone()).await.expect("an answer") != expected {}
    });
    waited.await.expect("the replica answers in the end");
}

#[test]
fn a_removed_privilege_is_never_granted_to_whoever_holds_the_removals_token_whatever_the_replica_has() {
    let server = Server::start(&programs().expect("xtask names them"), Durability::None).expect("it starts");
    runtime().block_on(async {
        let database = testkit::database::postgres_of(&server).await.expect("a server makes databases");
        let standby = server.standby().expect("it can be followed");
        let copy = database.url_on(&standby);
        let url = copy.clone();
        let world = World::start_with("public", database, move |settings| settings.replica_url = Some(url)).await;
        let established = world.accept("cedar", "birchwood", &["office-365"]).await.expect("accepted");
        // Whatever the replica has: it may not have the acceptance yet.
        until_answered(&world, Some(Requirement::MinimizeLatency(())), true).await;
        until_replayed(&server, &standby).await;

        tell(&copy, "SELECT pg_wal_replay_pause()").await;
        let name = established.delegations[0].name.clone();
        let remove = wire::RemoveDelegationRequest { name, ..Default::default() };
        let removed = world.delegations().remove_delegation(world.by(admin("cedar"), remove)).await.expect("R27");
        let fresh = Requirement::AtLeastAsFresh(token(&removed));
        for _ in 0..5 {
            assert!(!allowed(&world, Some(fresh.clone())).await.expect("an answer"), "the removal's token");
            assert!(!allowed(&world, Some(Requirement::FullyConsistent(()))).await.expect("an answer"));
        }
        // Both ask the replica, which is stopped in the time before the removal.
        until_answered(&world, Some(Requirement::MinimizeLatency(())), true).await;
        until_answered(&world, None, true).await;
        assert!(!allowed(&world, Some(fresh.clone())).await.expect("an answer"));

        tell(&copy, "SELECT pg_wal_replay_resume()").await;
        until_answered(&world, None, false).await;
        assert!(!allowed(&world, Some(fresh)).await.expect("an answer"));
    });
}

/// Waits until the copy has all there is.
async fn until_replayed(server: &Server, standby: &Server) {
    let mut primary = PgConnection::connect(&server.url()).await.expect("it answers");
    let mut follower = PgConnection::connect(&standby.url()).await.expect("it answers");
    let written = "SELECT CAST(pg_current_wal_lsn() - '0/0' AS BIGINT)";
    let position: i64 = sqlx::query_scalar(written).fetch_one(&mut primary).await.expect("it knows");
    let replayed = "SELECT CAST(pg_last_wal_replay_lsn() - '0/0' AS BIGINT)";
    while sqlx::query_scalar::<_, i64>(replayed).fetch_one(&mut follower).await.expect("it knows") < position {}
}

testkit::on_both!(a_token_beyond_the_log_or_of_another_place_is_refused);

async fn a_token_beyond_the_log_or_of_another_place_is_refused(database: Database) {
    let world = World::start("public", database).await;
    for (of, problem) in [
        ("public.relationship.1125899906842624", "the database was restored or replaced since this token was given"),
        ("public.invitation.1", "the token is of invitation in public; use one of relationship in public"),
        ("china.relationship.1", "the token is of relationship in china; use one of relationship in public"),
    ] {
        let fresh = Requirement::AtLeastAsFresh(URL_SAFE_NO_PAD.encode(of));
        let refused = allowed(&world, Some(fresh)).await.expect_err("it promises nothing here");
        let (code, reason, ..) = told(&refused);
        assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
        let fields = refused.get_details_bad_request().expect("it names the field").field_violations;
        assert_eq!(fields[0].field, "consistency.at_least_as_fresh");
        assert!(fields[0].description.starts_with(problem), "{}", fields[0].description);
    }
}
