//! Messages of the contract whose fields are set and read by name: what holds for every change cannot know its types.

use std::sync::LazyLock;

use api::rule::MethodRule;
use prost::Message as _;
use prost::bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value};

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(api::FILE_DESCRIPTOR_SET).expect("the build encodes a descriptor set"));

/// The method at this path.
pub(crate) fn method(path: &str) -> MethodDescriptor {
    let rule = MethodRule::find(path).unwrap_or_else(|| panic!("the contract has no {path}"));
    let service = POOL.get_service_by_name(rule.service()).expect("the table is made of the descriptors");
    let found = service.methods().find(|method| path.ends_with(&format!("/{}", method.name())));
    found.expect("the table is made of the descriptors")
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message(DynamicMessage);

impl Message {
    /// A request of the method at this path.
    pub(crate) fn request(path: &str, bytes: &[u8]) -> Message {
        Message::of(method(path).input(), bytes)
    }

    /// An answer of the method at this path.
    pub(crate) fn answer(path: &str, bytes: &[u8]) -> Message {
        Message::of(method(path).output(), bytes)
    }

    fn of(descriptor: MessageDescriptor, bytes: &[u8]) -> Message {
        Message(DynamicMessage::decode(descriptor, bytes).expect("it is such a message"))
    }

    /// Whether the message can hold such a field.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.0.descriptor().get_field_by_name(field).is_some()
    }

    /// The text of a field, given as `etag` or `partner.etag`.
    pub(crate) fn text(&self, field: &str) -> String {
        let (mut message, mut name) = (self.0.clone(), field);
        while let Some((outer, inner)) = name.split_once('.') {
            let value = message.get_field_by_name(outer).unwrap_or_else(|| panic!("no field {field}")).into_owned();
            message = value.as_message().expect("only messages have fields").clone();
            name = inner;
        }
        let value = message.get_field_by_name(name).unwrap_or_else(|| panic!("no field {field}"));
        value.as_str().expect("it is asked for as text").to_owned()
    }

    /// The message with this text in a field, given as `etag` or `partner.etag`.
    pub(crate) fn with(self, field: &str, text: &str) -> Message {
        self.set(field, Value::String(text.to_owned()))
    }

    /// The message with this flag raised.
    pub(crate) fn flagged(self, field: &str) -> Message {
        self.set(field, Value::Bool(true))
    }

    fn set(mut self, field: &str, value: Value) -> Message {
        let mut message = &mut self.0;
        let mut name = field;
        while let Some((outer, inner)) = name.split_once('.') {
            let value = message.get_field_by_name_mut(outer).unwrap_or_else(|| panic!("no field {field}"));
            message = value.as_message_mut().expect("only messages have fields");
            name = inner;
        }
        message.set_field_by_name(name, value);
        self
    }

    /// The message without these fields, where it has them.
    pub(crate) fn without(mut self, fields: &[&str]) -> Message {
        for field in fields {
            self.0.clear_field_by_name(field);
        }
        self
    }

    /// As it travels.
    pub(crate) fn bytes(&self) -> Bytes {
        self.0.encode_to_vec().into()
    }
}
