//! `#[derive(Message)]`: the struct is the schema.
//!
//! From a plain struct with version ranges the macro writes the codec, the `Default` (Kafka's field defaults) and a description
//! of the fields (`SCHEMA`, for tests and tools). It must not know any particular message. Start with `attributes.rs`, which is
//! the whole notation:
//!
//! ```text
//! #[derive(Debug, Clone, PartialEq, Message)]
//! #[message(versions = "4-18", flexible = "12+")]   // versions: only on requests, responses and headers; nested structs omit it
//! pub struct FetchRequest {
//!     #[field(versions = "12+", tag = 0, ignorable)] // a tagged field; dropped without error in older versions
//!     pub cluster_id: Option<String>,                // `Option`: nullable, null by default
//!     #[field(versions = "0-14", default = -1)]      // an error in other versions, unless it has its default value
//!     pub replica_id: i32,
//!     #[field(nullable = "1+")]                      // null is an error in version 0
//!     pub topics: Option<Vec<FetchTopic>>,
//!     pub unknown_tagged_fields: TaggedFields,       // present wherever there are flexible versions
//! }
//! ```

mod attributes;
mod expand;

use proc_macro::TokenStream;

/// Implements `Message` and `Default` for a struct with named fields.
#[proc_macro_derive(Message, attributes(message, field))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    attributes::Message::parse(&input)
        .map_or_else(|error| error.to_compile_error(), |message| expand::expand(&message))
        .into()
}
