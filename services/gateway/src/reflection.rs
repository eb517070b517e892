//! What reflection shows: the public contract, and nothing of the services that only peers may call.
//!
//! The reflection server decodes what it is given and drops options it does not know, ours among them; a client that wants
//! the rules of the methods reads them in `proto/`.

use api::rule::RULES;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// The contract without its internal services and what only they use.
pub(crate) fn public_descriptors() -> FileDescriptorSet {
    let mut set = FileDescriptorSet::decode(api::FILE_DESCRIPTOR_SET).expect("the build wrote it");
    set.file.retain(|file| !is_internal(file));
    set
}

/// True for a file of internal services. They have files of their own, which no public file imports.
fn is_internal(file: &FileDescriptorProto) -> bool {
    let package = file.package();
    file.service.iter().any(|service| {
        let name = format!("{package}.{}", service.name());
        RULES.iter().any(|rule| rule.is_internal() && rule.service() == name)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::public_descriptors;
    use crate::routes::ROUTES;

    #[test]
    fn exactly_the_routed_services_are_shown_with_all_they_import() {
        let set = public_descriptors();
        let files: BTreeSet<&str> = set.file.iter().map(|file| file.name()).collect();
        let mut services = Vec::new();
        for file in &set.file {
            for import in &file.dependency {
                assert!(files.contains(import.as_str()), "{} imports {import}", file.name());
            }
            services.extend(file.service.iter().map(|service| format!("{}.{}", file.package(), service.name())));
        }
        services.sort();
        let routed: Vec<&str> = ROUTES.iter().map(|(service, _)| *service).collect();
        assert_eq!(services, routed);
    }
}
