//! Answers `CloudService` for every cloud from what the gateway itself was configured with, so that a client can learn about
//! the clouds before it has a credential of one.

use std::sync::Arc;

use api::cloud::cloud_service_server::CloudService;
use api::cloud::{
    CloudPolicy, GetCloudPolicyRequest, ListCloudsRequest, ListCloudsResponse, ListMarketsRequest, ListMarketsResponse,
};
use api::status::Refusal;
use cloud::MarketTable;
use tonic::{Request, Response, Status};

use crate::clouds::{Cloud, Clouds};

/// All clouds, described.
#[derive(Debug)]
pub(crate) struct Described {
    clouds: Arc<Clouds>,
    markets: Arc<MarketTable>,
}

impl Described {
    /// Describes these clouds.
    pub(crate) fn new(clouds: Arc<Clouds>, markets: Arc<MarketTable>) -> Described {
        Described { clouds, markets }
    }

    /// The cloud with this id, which stands in `name`.
    fn find(&self, id: Option<[&str; 1]>, field: &str, name: &str) -> Result<&Cloud, Status> {
        let Some([id]) = id else {
            return Err(Refusal::field(field, "expected a name such as clouds/public").status(""));
        };
        self.clouds.named(id).ok_or_else(|| Refusal::not_found(name).status(""))
    }
}

#[tonic::async_trait]
impl CloudService for Described {
    async fn list_clouds(&self, _: Request<ListCloudsRequest>) -> Result<Response<ListCloudsResponse>, Status> {
        let mut clouds: Vec<_> = self.clouds.all().iter().map(|cloud| cloud.described.clone()).collect();
        clouds.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Response::new(ListCloudsResponse { clouds }))
    }

    async fn get_cloud_policy(&self, request: Request<GetCloudPolicyRequest>) -> Result<Response<CloudPolicy>, Status> {
        let name = &request.get_ref().name;
        let id = name.strip_suffix("/policy").and_then(|cloud| api::name::ids(cloud, ["clouds"]));
        let cloud = self.find(id, "name", name)?;
        Ok(Response::new(server::cloud_policy(&cloud.policy)))
    }

    async fn list_markets(
        &self,
        request: Request<ListMarketsRequest>,
    ) -> Result<Response<ListMarketsResponse>, Status> {
        let parent = &request.get_ref().parent;
        let cloud = self.find(api::name::ids(parent, ["clouds"]), "parent", parent)?;
        let markets = server::markets(&cloud.id, &self.markets);
        Ok(Response::new(ListMarketsResponse { markets }))
    }
}
