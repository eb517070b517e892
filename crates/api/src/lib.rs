//! The wire contract as Rust types, and the only shape of `Status` we send.
//!
//! It deliberately decides nothing: rules live in the domain of each service, and the layer that enforces [`rule::RULES`] in
//! `server`.

pub mod event;
pub mod field;
pub mod filter;
pub mod name;
pub mod page;
pub mod raw;
pub mod rule;
pub mod status;

#[expect(
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::large_enum_variant,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated from proto/, where the documentation stands"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/mandate.rs"));
}

pub use generated::mandate::cloud::v1 as cloud;
pub use generated::mandate::error::v1::ErrorReason;
pub use generated::mandate::invitation::v1 as invitation;
pub use generated::mandate::notification::v1 as notification;
pub use generated::mandate::relationship::v1 as relationship;

/// The messages in the details of our errors, as an encoded `FileDescriptorSet`, so that clients can read them by reflection.
pub use tonic_types::pb::FILE_DESCRIPTOR_SET as ERROR_DETAILS_DESCRIPTOR_SET;

/// All of the contract as an encoded `FileDescriptorSet`, our method options included, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mandate.bin"));
