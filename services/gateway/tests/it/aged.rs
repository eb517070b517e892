//! A service that asks its callers to come on a new connection, as every service of ours does from time to time.

use std::time::{Duration, Instant};

use api::relationship::agreement_service_server::{AgreementService, AgreementServiceServer};
use api::relationship::{
    AgreementStatus, GetAgreementStatusRequest, ListAgreementAcceptancesRequest, ListAgreementAcceptancesResponse,
};
use clock::{Clock, Time};
use server::config::{Common, Seconds};
use server::{Process, Running, Server, Services, Shutdown};
use testkit::certificates::Authority;
use testkit::provider::{Identity, NOW_SECONDS, Provider};
use tokio::task::JoinSet;
use tonic::{Code, Request, Response, Status};

use crate::call::{Call, connect};
use crate::listener::tls_section;
use crate::world::{parse, policy, section, start};

const STATUS: &str = "/mandate.relationship.v1.AgreementService/GetAgreementStatus";
const ADMIN: Identity<'_> = Identity { kind: "customer", tenant: "cedar", subject: "admin", roles: &["global_admin"] };

struct Agreements;

#[tonic::async_trait]
impl AgreementService for Agreements {
    async fn get_agreement_status(
        &self,
        _request: Request<GetAgreementStatusRequest>,
    ) -> Result<Response<AgreementStatus>, Status> {
        Ok(Response::new(AgreementStatus::default()))
    }

    async fn list_agreement_acceptances(
        &self,
        _request: Request<ListAgreementAcceptancesRequest>,
    ) -> Result<Response<ListAgreementAcceptancesResponse>, Status> {
        Ok(Response::new(ListAgreementAcceptancesResponse::default()))
    }
}

/// The relationship service of the public cloud, on whose connections nobody grows old.
async fn relationship(authority: &Authority, provider: &Provider) -> Running {
    let files = authority.service("public", "relationship");
    let text = format!(
        "cloud = \"public\"\npolicy = {:?}\nlisten = \"127.0.0.1:0\"\nissuer = {:?}\ndevelopment = true\n{}",
        policy("public"),
        provider.uri(),
        tls_section(&files),
    );
    let mut common: Common = toml::from_str(&text).unwrap();
    common.limits.connection_age_max_seconds = Seconds(Duration::from_millis(50));
    let clock = Clock::manual(Time::from_seconds(NOW_SECONDS));
    let process = Process::load("relationship", &common, clock, Shutdown::new()).unwrap();
    let bound = Server::bind(&common).await.unwrap();
    bound.serve(Services::new().with(AgreementServiceServer::new(Agreements)), &process).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_grows_old_costs_no_call() {
    let (authority, provider) = (Authority::new(), Provider::start().await);
    let service = relationship(&authority, &provider).await;
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndevelopment = true\n{}{}",
        tls_section(&authority.gateway()),
        section("public", provider.uri(), &format!("https://localhost:{}", service.address.port())),
    );
    let running = start(parse(&text), &Shutdown::new()).await.unwrap();
    let token = provider.token(ADMIN);
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let mut channel = connect(running.address, "localhost");
        let token = token.clone();
        callers.spawn(async move {
            let (began, mut made) = (Instant::now(), 0);
            while began.elapsed() < Duration::from_millis(500) {
                let empty = http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5]));
                let answer = Call::new(STATUS).token(&token).body(empty).send(&mut channel).await;
                assert_eq!(answer.status().code(), Code::Ok, "call {made}: {answer:?}");
                made += 1;
            }
        });
    }
    callers.join_all().await;
}
