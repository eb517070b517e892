//! Databases backed up while customers work, restored in other places, and started from: what comes back fits together, and what
//! the history misses or has too much is seen and mended as `docs/operations.md` says.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use api::relationship::{DelegationState, RemoveDelegationRequest};
use tempfile::TempDir;
use testkit::postgres::{Durability, Server, programs};
use testkit::process::{Process, run};
use testkit::site::SERVICES;
use tonic::transport::Channel;

use super::dump;
use super::load::{LINK, Ledger, Load, Scene, confirm, populated};
use super::site::{Instance, Site, admin};
use crate::scenarios::cloud::Cloud;
use crate::scenarios::history::{types, watched};
use crate::scenarios::request_id;
use crate::scenarios::system::System;

/// How many customers work.
const CUSTOMERS: usize = 4;
/// How many changes are acknowledged between two steps at least.
const BETWEEN: usize = 3 * CUSTOMERS;

/// Each customer's ledger is cut back to what the restored state knows, which is all that was acknowledged before its backup
/// began.
async fn rewound(ledgers: Vec<Ledger>, acknowledged: &[usize]) -> Vec<Ledger> {
    let mut cut = Vec::new();
    for (mut ledger, acknowledged) in ledgers.into_iter().zip(acknowledged) {
        let known = ledger.rewind().await;
        assert!(known >= *acknowledged, "{known} of {acknowledged} changes came back");
        cut.push(ledger);
    }
    cut
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_system_on_sqlite_is_complete_and_starts() {
    let system = System::start().await;
    let cloud = Cloud::of("public");
    let (otto, ada) = (system.person(cloud, "otto").await, system.person(cloud, "ada").await);
    let token = ada.link(&cloud.partner(0), LINK).await.expect("a link").token;
    let scene = Scene { cloud, partner: cloud.partner(0), token };
    let mut ledgers = Vec::new();
    for place in 0..CUSTOMERS {
        let id = format!("customer-{place}");
        otto.register_customer(&id, cloud.country).await;
        let caller = system.sign_in(cloud.id, "gwen", ["customer", &id, "global_admin"]).await;
        ledgers.push(Ledger::new(&format!("customers/{id}"), caller));
    }
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;
    let acknowledged = load.acknowledged();
    // A folder of that name, and nothing there.
    let copy = TempDir::new().expect("room for a folder");
    std::fs::remove_dir(copy.path()).expect("it is empty");
    let (from, to) = (system.data_dir(), copy.path().to_str().expect("a path of text"));
    let made = run("mandate", ["backup", "--data-dir", &from, "--to", to]);
    assert_eq!(made.code(), 0, "{made:?}");
    load.more(BETWEEN).await;
    let ledgers = load.end().await;

    // The connections and tokens of all stay good: the addresses are the same, and so are the issuers' keys.
    let system = system.restarted_in(copy).await;
    let ledgers = rewound(ledgers, &acknowledged).await;
    confirm(&scene, &ada, &ledgers).await;
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;
    confirm(&scene, &ada, &load.end().await).await;
    let ended = system.ended();
    assert_eq!(ended.code(), 0, "{ended:?}");
}

/// A cloud on PostgreSQL that is stopped and started from other databases.
struct Place {
    site: Site,
    instance: Instance,
    processes: BTreeMap<&'static str, Process>,
    _gateway: Process,
    channel: Channel,
    dumps: TempDir,
}

impl Place {
    async fn start() -> Place {
        let site = Site::new(None);
        let (instance, processes) = site.running("public").await;
        Place::of(site, instance, processes)
    }

    /// With its databases on this server.
    async fn start_on(server: &Server) -> Place {
        let site = Site::new(None);
        let mut instance = site.instance("public").await;
        for service in SERVICES {
            let database = testkit::database::postgres_of(server).await.expect("it makes databases");
            instance.databases.insert(service, database);
            let migrated = site.run(&instance, service, "migrate");
            assert_eq!(migrated.code(), 0, "{migrated:?}");
        }
        let mut place = Place::of(site, instance, BTreeMap::new());
        place.serve();
        place
    }

    fn of(site: Site, instance: Instance, processes: BTreeMap<&'static str, Process>) -> Place {
        let (gateway, channel) = site.gateway(&[&instance]);
        let dumps = TempDir::new().expect("room for a folder");
        Place { site, instance, processes, _gateway: gateway, channel, dumps }
    }

    fn dump(&self, service: &str) {
        dump::dump(&self.instance.databases[service], &self.dumps.path().join(service));
    }

    fn stop(&mut self) {
        for (service, process) in std::mem::take(&mut self.processes) {
            let ended = process.terminated();
            assert_eq!(ended.code(), 0, "{service}: {ended:?}");
        }
    }

    /// Stops all services, and gives each what was dumped of it.
    async fn restore(&mut self) {
        self.stop();
        for service in SERVICES {
            let restored = dump::restore(&self.dumps.path().join(service)).await;
            self.instance.databases.insert(service, restored);
        }
    }

    fn serve(&mut self) {
        for service in SERVICES {
            self.processes.insert(service, self.site.serve(&self.instance, service));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_restored_from_one_moment_on_postgresql_agree_and_go_on() {
    let mut place = Place::start().await;
    let (scene, ada, ledgers) = populated(&place.instance, &place.channel, CUSTOMERS).await;
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;
    let ledgers = load.end().await;
    confirm(&scene, &ada, &ledgers).await;
    let acknowledged: Vec<usize> = ledgers.iter().map(Ledger::len).collect();
    SERVICES.iter().for_each(|service| place.dump(service));
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;
    let ledgers = load.end().await;

    place.restore().await;
    place.serve();
    let ledgers = rewound(ledgers, &acknowledged).await;
    assert_eq!(ledgers.iter().map(Ledger::len).collect::<Vec<_>>(), acknowledged, "that moment, and nothing later");
    confirm(&scene, &ada, &ledgers).await;
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;
    confirm(&scene, &ada, &load.end().await).await;
}

/// What a program of PostgreSQL says, once it has done what it was told.
fn said(command: &mut Command) -> String {
    let output = command.output().expect("PostgreSQL brings it");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it talks UTF-8")
}

/// A server that archives its log in `archive`, beside its data.
fn archiving() -> Server {
    let programs = programs().expect("cargo xtask test names the folder");
    let mut server = Server::start(&programs, Durability::None).expect("a server starts");
    let archive = server.folder().join("archive").display().to_string();
    let make = format!(
        "ALTER SYSTEM SET archive_command = 'mkdir -p {archive} && test ! -f {archive}/%f && cp %p {archive}/%f'"
    );
    for setting in ["ALTER SYSTEM SET archive_mode = on", &make] {
        said(server.program("psql").args(["--no-psqlrc", "--dbname", "postgres", "--command", setting]));
    }
    server.stop().expect("it can be told");
    server.start_again().expect("it comes back");
    server
}

/// Starts the server from its base backup, and lets it go through the archive until this time.
fn restore_to(server: &mut Server, time: &str) {
    server.stop().expect("it can be told");
    let (data, archive) = (server.folder().join("data"), server.folder().join("archive"));
    fs::remove_dir_all(&data).expect("what was lost");
    fs::rename(server.folder().join("base"), &data).expect("what was kept");
    let settings = format!(
        "restore_command = 'cp {}/%f %p'\nrecovery_target_time = '{time}'\nrecovery_target_action = 'promote'\n",
        archive.display()
    );
    // What ALTER SYSTEM has set is read last, so these go behind it.
    let file = data.join("postgresql.auto.conf");
    let before = fs::read_to_string(&file).expect("the backup has it");
    fs::write(&file, before + &settings).expect("it can be written");
    fs::write(data.join("recovery.signal"), "").expect("it can be written");
    server.start_again().expect("it comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_restored_to_a_time_has_all_that_was_acknowledged_until_then_and_nothing_later() {
    let mut server = archiving();
    let mut place = Place::start_on(&server).await;
    let (scene, ada, ledgers) = populated(&place.instance, &place.channel, CUSTOMERS).await;
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;
    let base = server.folder().join("base");
    said(server.program("pg_basebackup").arg("--checkpoint=fast").arg("--pgdata").arg(base));
    load.more(BETWEEN).await;
    let ledgers = load.end().await;
    confirm(&scene, &ada, &ledgers).await;
    let acknowledged: Vec<usize> = ledgers.iter().map(Ledger::len).collect();
    let now =
        ["--no-psqlrc", "--tuples-only", "--no-align", "--dbname", "postgres", "--command", "SELECT clock_timestamp()"];
    let time = said(server.program("psql").args(now));
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;
    let ledgers = load.end().await;

    place.stop();
    restore_to(&mut server, time.trim());
    place.serve();
    let ledgers = rewound(ledgers, &acknowledged).await;
    assert_eq!(ledgers.iter().map(Ledger::len).collect::<Vec<_>>(), acknowledged, "that moment, and nothing later");
    confirm(&scene, &ada, &ledgers).await;
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;
    confirm(&scene, &ada, &load.end().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_older_than_the_state_is_told_again_what_it_missed_and_keeps_it_once() {
    let mut place = Place::start().await;
    let (scene, ada, ledgers) = populated(&place.instance, &place.channel, CUSTOMERS).await;
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;
    place.dump("notification");
    load.more(BETWEEN).await;
    let acknowledged = load.acknowledged();
    place.dump("relationship");
    place.dump("invitation");
    load.more(BETWEEN).await;
    let ledgers = load.end().await;

    place.restore().await;
    for service in ["relationship", "invitation"] {
        let file = place.site.configure(&place.instance, service).display().to_string();
        let told = run(service, ["outbox", "redeliver", "--since", "2000-01-01T00:00:00Z", "--config", &file]);
        assert_eq!(told.code(), 0, "{service}: {told:?}");
    }
    place.serve();
    let ledgers = rewound(ledgers, &acknowledged).await;
    confirm(&scene, &ada, &ledgers).await;
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;
    confirm(&scene, &ada, &load.end().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_ahead_of_a_restored_state_shows_what_the_state_has_lost() {
    let mut place = Place::start().await;
    let (scene, _, _) = populated(&place.instance, &place.channel, 1).await;
    let gwen = place.instance.caller(&place.channel, admin("customer-0"));
    let customer = "customers/customer-0";
    let answer = gwen.accept(scene.cloud.acceptance(&scene.token, customer)).await.expect("accepted").into_inner();
    let name = answer.delegations[0].name.clone();
    place.dump("relationship");
    let remove = || RemoveDelegationRequest { name: name.clone(), request_id: request_id(), ..Default::default() };
    gwen.delegations().remove_delegation(remove()).await.expect("R27");
    let before = watched(&gwen, customer, 0, 4).await;
    place.dump("notification");
    place.dump("invitation");

    place.restore().await;
    place.serve();
    assert_eq!(watched(&gwen, customer, 0, 4).await, before, "the history is as it was");
    let last = before.last().expect("there are some");
    assert_eq!((last.r#type.as_str(), last.resource.as_str()), ("delegation.removedByCustomer", name.as_str()));
    let held = gwen.holders(customer).await;
    assert_eq!(held.iter().map(|held| &held.name).collect::<Vec<_>>(), [&name], "though the state has it in force");
    // What to do: make the change once more. The history tells that too.
    let removed = gwen.delegations().remove_delegation(remove()).await.expect("R27").into_inner();
    assert_eq!(removed.state(), DelegationState::RemovedByCustomer);
    let after = watched(&gwen, customer, last.sequence, 1).await;
    assert_eq!((types(&after), after[0].sequence), (vec!["delegation.removedByCustomer"], last.sequence + 1));
    assert!(gwen.holders(customer).await.is_empty());
}
