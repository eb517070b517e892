//! `CloudService`: what differs between clouds, told to whoever asks. Every process answers it.

use std::sync::Arc;

use api::cloud as wire;
use api::cloud::cloud_service_server::CloudService;
use api::status::Refusal;
use cloud::{CloudId, CountryCode, MarketTable, Policy, TextEditRule};
use tonic::{Request, Response, Status};

use crate::process::Process;

/// The policy of a cloud as it travels.
#[must_use]
pub fn cloud_policy(policy: &Policy) -> wire::CloudPolicy {
    let text_edit_rule = match policy.text_edit_rule {
        TextEditRule::KeepLink => wire::TextEditRule::KeepLink,
        TextEditRule::FirstTwoParagraphs => wire::TextEditRule::FirstTwoParagraphs,
    };
    let mandatory_rule = policy.delegation.mandatory_rule.as_ref();
    let countries = policy.region.countries.iter().flatten();
    wire::CloudPolicy {
        name: format!("clouds/{}/policy", policy.cloud),
        acceptance_portal: Some(wire::Portal {
            title: policy.acceptance_portal.title.clone(),
            uri_template: policy.acceptance_portal.uri.clone(),
        }),
        delegation_optional: policy.delegation.optional,
        delegation_mandatory_rule: mandatory_rule.map(ToString::to_string).unwrap_or_default(),
        text_edit_rule: text_edit_rule.into(),
        required_agreement: policy.required_agreement.as_ref().map(document),
        partner_contract: Some(document(&policy.partner_contract)),
        single_delegate_per_service: policy.delegation.exclusive_holder,
        services: policy.services.iter().map(delegable_service).collect(),
        countries: countries.map(ToString::to_string).collect(),
        permissions: permissions(policy),
        support_on_behalf_after_removal: policy.access.support_on_behalf_after_removal,
        transition_needs_delegation: policy.access.transition_needs_delegation,
        obligations: policy.obligations.iter().map(obligation).collect(),
        termination: Some(termination(&policy.termination)),
    }
}

fn termination(rule: &cloud::TerminationRule) -> wire::TerminationRule {
    wire::TerminationRule {
        blocking_statuses: rule.blocking_statuses.iter().map(|status| status.text().to_owned()).collect(),
        blocking_rule: rule.blocking_rule.to_string(),
        customer_may_request: rule.customer_may_request,
        customer_rule: rule.customer_rule.as_ref().map(ToString::to_string).unwrap_or_default(),
        notice_days_min: i32::from(rule.notice_days_min),
        notice_days_max: i32::from(rule.notice_days_max),
    }
}

fn document(document: &cloud::Document) -> wire::Document {
    wire::Document {
        id: document.id.clone(),
        title: document.title.clone(),
        uri: document.uri.clone(),
        version: document.version.clone(),
    }
}

fn delegable_service(service: &cloud::DelegableService) -> wire::DelegableService {
    wire::DelegableService {
        id: service.id.to_string(),
        title: service.title.clone(),
        requested_by_default: service.requested_by_default,
    }
}

fn obligation(obligation: &cloud::Obligation) -> wire::Obligation {
    wire::Obligation {
        id: obligation.id.clone(),
        title: obligation.title.clone(),
        uri: obligation.uri.clone(),
        rule: obligation.rule.to_string(),
    }
}

fn permissions(policy: &Policy) -> Vec<wire::PermissionGrant> {
    let grants = policy.permissions.iter().map(|(permission, roles)| wire::PermissionGrant {
        permission: permission.clone(),
        roles: roles.iter().map(ToString::to_string).collect(),
    });
    grants.collect()
}

/// The markets as they travel, named as those of this cloud.
#[must_use]
pub fn markets(cloud: &CloudId, table: &MarketTable) -> Vec<wire::Market> {
    let markets = table.markets().iter().map(|(market, countries)| wire::Market {
        name: format!("clouds/{cloud}/markets/{market}"),
        countries: countries.iter().map(CountryCode::to_string).collect(),
    });
    markets.collect()
}

/// Answers `CloudService` for the one cloud of a process.
#[derive(Debug)]
pub struct CloudAnswers {
    process: Arc<Process>,
    issuer: String,
}

impl CloudAnswers {
    /// Answers for the cloud of this process, whose issuer has this URI.
    #[must_use]
    pub fn new(process: Arc<Process>, issuer: &str) -> CloudAnswers {
        CloudAnswers { process, issuer: issuer.to_owned() }
    }

    /// Refuses names of other clouds: this process knows nothing of them.
    fn check(&self, found: Option<&str>, field: &str, name: &str) -> Result<(), Status> {
        let refusal = match found {
            None => Refusal::field(field, "expected a name such as clouds/public"),
            Some(cloud) if cloud == self.process.cloud.as_str() => return Ok(()),
            Some(_) => Refusal::not_found(name),
        };
        Err(refusal.status(self.process.cloud.as_str()))
    }
}

#[tonic::async_trait]
impl CloudService for CloudAnswers {
    async fn list_clouds(
        &self,
        _request: Request<wire::ListCloudsRequest>,
    ) -> Result<Response<wire::ListCloudsResponse>, Status> {
        let cloud = wire::Cloud {
            name: format!("clouds/{}", self.process.cloud),
            title: self.process.policy.title.clone(),
            issuer: self.issuer.clone(),
            hosts: Vec::new(),
        };
        Ok(Response::new(wire::ListCloudsResponse { clouds: vec![cloud] }))
    }

    async fn get_cloud_policy(
        &self,
        request: Request<wire::GetCloudPolicyRequest>,
    ) -> Result<Response<wire::CloudPolicy>, Status> {
        let name = request.into_inner().name;
        self.check(cloud_of_policy(&name), "name", &name)?;
        Ok(Response::new(cloud_policy(&self.process.policy)))
    }

    async fn list_markets(
        &self,
        request: Request<wire::ListMarketsRequest>,
    ) -> Result<Response<wire::ListMarketsResponse>, Status> {
        let parent = request.into_inner().parent;
        let ids = api::name::ids(&parent, ["clouds"]);
        self.check(ids.map(|[cloud]| cloud), "parent", &parent)?;
        let markets = markets(&self.process.cloud, &self.process.markets);
        Ok(Response::new(wire::ListMarketsResponse { markets }))
    }
}

/// The cloud in `clouds/{cloud}/policy`, where a policy is the only one of its kind.
fn cloud_of_policy(name: &str) -> Option<&str> {
    let [cloud] = api::name::ids(name.strip_suffix("/policy")?, ["clouds"])?;
    Some(cloud)
}
