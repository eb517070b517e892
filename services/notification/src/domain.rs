//! What an event and a feed are, and who may read which.
//!
//! No async, no SQL, no wire types. The content of an event is opaque here: whoever made it decided what it says.

pub mod event;
pub mod feed;
