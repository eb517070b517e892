//! The contract: that it says of every method who may call it and what goes wrong, and that what it says of reasons is what is
//! sent. How changes are repeated and guarded is for `mutations`.
//!
//! Names and comments in general are left to `buf lint`, the presence of the method option to the build of `api`.

use std::collections::{BTreeMap, BTreeSet};

use api::ErrorReason;
use api::rule::{MethodRule, RULES};
use cloud::Policy;
use prost_reflect::{DescriptorPool, EnumDescriptor, FileDescriptor, MessageDescriptor, MethodDescriptor};

use crate::checkout::{self, Broken};

/// Permissions that no method declares, and who asks for them instead.
const ASKED_FOR_INSIDE: &[(&str, &str)] = &[
    (
        "invitation_links.request_delegation",
        "which links a caller may have depends on their options: invitation decides",
    ),
    ("access.check_any", "whom a caller may ask about depends on the request: relationship decides"),
];

/// Lists without pages, and why they stay short.
const SHORT_LISTS: &[(&str, &str)] = &[
    ("ListClouds", "as many as the operator has configured, and a client needs them all to choose"),
    ("ListMarkets", "the table of the cloud, read from a file at start"),
    ("ListTerminationBlockers", "as many as a customer has subscriptions of one partner, and all of them must go"),
];

/// The codes of gRPC, as comments write them.
const CODES: &[&str] = &[
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A method with its source.
struct Method {
    descriptor: MethodDescriptor,
    rule: &'static MethodRule,
    path: String,
    line: usize,
    /// What stands above it, in one line.
    comment: String,
}

impl Method {
    fn all() -> Vec<Method> {
        let pool = pool();
        pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).map(Method::read).collect()
    }

    fn read(descriptor: MethodDescriptor) -> Method {
        let file = descriptor.parent_service().parent_file();
        let (path, text) = source(&file);
        let line = checkout::line_of(&text, &format!("rpc {}(", descriptor.name()));
        let call = format!("/{}/{}", descriptor.parent_service().full_name(), descriptor.name());
        let rule = MethodRule::find(&call).expect("the build makes a rule of every method");
        Method { rule, path, line, comment: comment_above(&text, line), descriptor }
    }

    fn name(&self) -> &str {
        self.descriptor.name()
    }

    /// The paragraph on errors.
    fn errors(&self) -> Option<&str> {
        self.comment.split_once("Errors: ").map(|(_, errors)| errors)
    }

    fn breaks(&self, broken: &mut Broken, sentence: &str) {
        broken.at(&self.path, self.line, format!("{}: {sentence}", self.name()));
    }
}

fn pool() -> DescriptorPool {
    DescriptorPool::decode(api::FILE_DESCRIPTOR_SET).expect("the build encodes a descriptor set")
}

/// Path and text of one of our files.
fn source(file: &FileDescriptor) -> (String, String) {
    let path = format!("proto/{}", file.name());
    let text = checkout::text(&path);
    (path, text)
}

/// The comment that ends right above a line, in one line.
fn comment_above(text: &str, line: usize) -> String {
    let above: Vec<&str> = text.lines().take(line - 1).collect();
    let mut comment: Vec<&str> = above
        .iter()
        .rev()
        .map_while(|line| line.trim().strip_prefix("//"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    comment.reverse();
    comment.join(" ")
}

fn field_names(message: &MessageDescriptor) -> BTreeSet<String> {
    message.fields().map(|field| field.name().to_owned()).collect()
}

#[test]
fn every_permission_of_a_method_is_mapped_in_every_policy() {
    let mut broken = Broken::default();
    for cloud in checkout::clouds() {
        let policy = format!("deploy/clouds/{cloud}/policy/policy.toml");
        let mapped = Policy::load(checkout::root().join(&policy)).unwrap_or_else(|error| panic!("{error}"));
        for rule in RULES.iter().filter(|rule| !rule.permission.is_empty()) {
            if !mapped.permissions.contains_key(rule.permission) {
                let line = checkout::line_of(&checkout::text(&policy), "[permissions]");
                let sentence = format!("nobody can call {}: say which roles hold {:?}", rule.path, rule.permission);
                broken.at(&policy, line, sentence);
            }
        }
    }
    broken.none();
}

#[test]
fn every_permission_of_a_policy_is_asked_for() {
    let mut asked: BTreeSet<&str> = RULES.iter().map(|rule| rule.permission).collect();
    asked.extend(ASKED_FOR_INSIDE.iter().map(|(permission, _)| *permission));
    let mut broken = Broken::default();
    for cloud in checkout::clouds() {
        let path = format!("deploy/clouds/{cloud}/policy/policy.toml");
        let policy = Policy::load(checkout::root().join(&path)).unwrap_or_else(|error| panic!("{error}"));
        for permission in policy.permissions.keys().filter(|permission| !asked.contains(permission.as_str())) {
            let line = checkout::line_of(&checkout::text(&path), &format!("\"{permission}\""));
            broken.at(&path, line, format!("no method needs {permission}: remove it, or declare it on a method"));
        }
    }
    broken.none();
}

#[test]
fn every_list_comes_in_pages() {
    let mut broken = Broken::default();
    for method in Method::all() {
        let request = field_names(&method.descriptor.input());
        let answer = field_names(&method.descriptor.output());
        let is_list =
            method.name().starts_with("List") && !SHORT_LISTS.iter().any(|(short, _)| *short == method.name());
        let asks = request.contains("page_size") || request.contains("page_token");
        for (fields, which, field) in [
            (&request, "request", "page_size"),
            (&request, "request", "page_token"),
            (&answer, "response", "next_page_token"),
        ] {
            if (is_list || asks) && !fields.contains(field) {
                method.breaks(&mut broken, &format!("add {field} to its {which} (AIP-158)"));
            }
        }
    }
    broken.none();
}

#[test]
fn nothing_is_meant_by_the_zero_of_an_enum() {
    fn check(enumeration: &EnumDescriptor, broken: &mut Broken) {
        let zero = enumeration.get_value(0).map(|value| value.name().to_owned()).unwrap_or_default();
        if !zero.ends_with("_UNSPECIFIED") {
            let (path, text) = source(&enumeration.parent_file());
            let line = checkout::line_of(&text, &format!("enum {} ", enumeration.name()));
            let sentence =
                format!("{}: let 0 end in _UNSPECIFIED, so that an absent value says nothing", enumeration.name());
            broken.at(&path, line, sentence);
        }
    }
    let mut broken = Broken::default();
    let pool = pool();
    pool.all_enums().filter(|all| all.package_name().starts_with("mandate.")).for_each(|one| check(&one, &mut broken));
    broken.none();
}

/// Every reason that can be sent, as it travels.
fn reasons() -> BTreeMap<&'static str, ErrorReason> {
    let pool = pool();
    let all = pool.get_enum_by_name("mandate.error.v1.ErrorReason").expect("the contract has it");
    let reasons = all.values().filter_map(|value| ErrorReason::try_from(value.number()).ok());
    reasons.filter(|reason| *reason != ErrorReason::Unspecified).map(|reason| (reason.wire(), reason)).collect()
}

/// The code of a reason, as comments write it.
fn code(reason: ErrorReason) -> String {
    let mut written = String::new();
    for letter in format!("{:?}", reason.code()).chars() {
        if letter.is_uppercase() && !written.is_empty() {
            written.push('_');
        }
        written.push(letter.to_ascii_uppercase());
    }
    written
}

#[test]
fn every_reason_says_the_code_it_comes_with() {
    let path = "proto/mandate/error/v1/error_reason.proto";
    let text = checkout::text(path);
    let mut broken = Broken::default();
    for (wire, reason) in reasons() {
        let line = checkout::line_of(&text, &format!("ERROR_REASON_{wire} ="));
        let comment = comment_above(&text, line);
        let said = comment.split(|c: char| !c.is_ascii_uppercase() && c != '_').next().unwrap_or_default();
        if said != code(reason) {
            let sentence =
                format!("{wire} is sent as {}: begin its comment with that, or change ErrorReason::code", code(reason));
            broken.at(path, line, sentence);
        }
    }
    broken.none();
}

/// The words of a comment that are written as codes and reasons are.
fn capitals(comment: &str) -> impl Iterator<Item = &str> {
    let words = comment.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

#[test]
fn every_method_says_what_goes_wrong_with_reasons_that_exist() {
    let reasons = reasons();
    let mut broken = Broken::default();
    for method in Method::all() {
        let Some(errors) = method.errors() else {
            method.breaks(&mut broken, "end its comment with `Errors:` and each code with its reasons");
            continue;
        };
        let mut said = "";
        for word in capitals(errors) {
            if CODES.contains(&word) {
                said = word;
            } else if let Some(reason) = reasons.get(word) {
                // Whatever code a reason has alone, as a condition of an acceptance it fails that (Refusal::conditions).
                // A method that refers to another may except reasons of it, with no code in front.
                let excepts = said.is_empty() && !referred_to(&method).is_empty();
                if said != code(*reason) && said != "FAILED_PRECONDITION" && !excepts {
                    let sentence = format!("{word} comes with {}, not with {said:?}: write so", code(*reason));
                    method.breaks(&mut broken, &sentence);
                }
            } else {
                method.breaks(
                    &mut broken,
                    &format!("{word} is no reason: take one of error_reason.proto, or add it there"),
                );
            }
        }
    }
    broken.none();
}

#[test]
fn a_method_that_refers_to_the_errors_of_another_names_one_that_exists() {
    let methods = Method::all();
    let mut broken = Broken::default();
    for method in &methods {
        for name in referred_to(method) {
            if !methods.iter().any(|other| other.name() == name) {
                method.breaks(&mut broken, &format!("there is no method {name}: name one whose errors it shares"));
            }
        }
    }
    broken.none();
}

/// The methods whose errors a method says to be its own: `as GetEvent`, `those of InvitationService.AcceptInvitation`.
fn referred_to(method: &Method) -> Vec<&str> {
    let errors = method.errors().unwrap_or_default();
    let after =
        |words: &str| errors.strip_prefix(words).map(|rest| rest.split([' ', ',', ';']).next().unwrap_or_default());
    let named = after("as ").or_else(|| after("those of "));
    named.map(|name| name.trim_end_matches('.').rsplit('.').next().unwrap_or_default()).into_iter().collect()
}

#[test]
fn a_method_with_a_refusal_of_its_own_tells_it() {
    let methods = Method::all();
    let mut broken = Broken::default();
    for method in methods.iter().filter(|method| method.rule.refusal != ErrorReason::RoleRequired) {
        let others = referred_to(method);
        let told = methods
            .iter()
            .filter(|other| other.name() == method.name() || others.contains(&other.name()))
            .filter_map(Method::errors)
            .any(|errors| capitals(errors).any(|word| word == method.rule.refusal.wire()));
        if !told {
            let sentence =
                format!("callers without the permission get {}: say so in `Errors:`", method.rule.refusal.wire());
            method.breaks(&mut broken, &sentence);
        }
    }
    broken.none();
}

#[test]
fn every_method_that_asks_who_calls_says_who_may() {
    let mut broken = Broken::default();
    for method in Method::all().iter().filter(|method| !method.rule.callers.is_empty() && !method.rule.is_internal()) {
        if !method.comment.contains("May be called ") {
            method.breaks(&mut broken, "say in its comment who may call it: `May be called by …`");
        }
    }
    broken.none();
}

#[test]
fn the_gateway_routes_every_public_service_and_no_internal_one() {
    let routed: BTreeSet<&str> = gateway::routes::ROUTES.iter().map(|(service, _)| *service).collect();
    let mut broken = Broken::default();
    for method in Method::all() {
        let service = method.rule.service();
        if method.rule.is_internal() && routed.contains(service) {
            method
                .breaks(&mut broken, "it is internal: move it to a service of its own, or take that out of routes.rs");
        } else if !method.rule.is_internal() && !routed.contains(service) {
            method.breaks(
                &mut broken,
                &format!("it is public: add {service} to ROUTES in services/gateway/src/routes.rs"),
            );
        }
    }
    broken.none();
}
