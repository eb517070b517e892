//! What the business decides about invitations: links, the tokens in them, and the texts that carry them.
//!
//! No async, no SQL, no wire types; time, keys and ids come in as arguments.

pub mod key;
pub mod link;
pub mod text;
pub mod token;
