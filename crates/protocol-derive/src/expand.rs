//! From a parsed message to its `Default` and `Message` implementations.

use proc_macro2::TokenStream;
use quote::quote;

use crate::attributes::{Field, Message, Versions};

pub(crate) fn expand(message: &Message) -> TokenStream {
    let default = default_impl(message);
    let encode = encode_fn(message);
    let decode = decode_fn(message);
    let schema = schema_const(message);
    let name = &message.name;
    quote! {
        #default

        #[automatically_derived]
        impl ::dohle_protocol::message::Message for #name {
            #schema
            #encode
            #decode
        }
    }
}

fn default_impl(message: &Message) -> TokenStream {
    let name = &message.name;
    let fields = message.fields.iter().map(|field| {
        let (name, default) = (&field.name, default_value(field));
        quote!(#name: #default,)
    });
    let unknown = message
        .keeps_unknown
        .then(|| quote!(unknown_tagged_fields: ::core::default::Default::default(),));
    quote! {
        #[automatically_derived]
        impl ::core::default::Default for #name {
            fn default() -> Self {
                Self { #(#fields)* #unknown }
            }
        }
    }
}

fn encode_fn(message: &Message) -> TokenStream {
    let guard = version_guard(message, &quote!(EncodeError));
    let flexible = flexible_binding(message);
    let fields = message
        .fields
        .iter()
        .filter(|field| field.tag.is_none())
        .map(|field| encode_field(message, field));
    let tagged = encode_tagged(message);
    quote! {
        fn encode(
            &self,
            encoder: &mut ::dohle_protocol::wire::Encoder,
            version: i16,
        ) -> ::core::result::Result<(), ::dohle_protocol::wire::EncodeError> {
            #guard
            #flexible
            #(#fields)*
            #tagged
            ::core::result::Result::Ok(())
        }
    }
}

fn encode_field(message: &Message, field: &Field) -> TokenStream {
    let name = &field.name;
    let flexible = flexible_of(field);
    let null_check = null_check(field).map(|forbidden| {
        let error = encode_error(message, field, &quote!(null));
        quote!(if #forbidden && self.#name.is_none() { return #error; })
    });
    let write = quote! {
        #null_check
        ::dohle_protocol::wire::Wire::encode(&self.#name, encoder, version, #flexible)?;
    };
    match (version_in(field.versions), refuse_elsewhere(message, field)) {
        (None, _) => write,
        (Some(present), None) => quote!(if #present { #write }),
        (Some(present), Some(refuse)) => quote!(if #present { #write } else #refuse),
    }
}

fn encode_tagged(message: &Message) -> Option<TokenStream> {
    if !message.keeps_unknown {
        return None;
    }
    let puts = message.tagged().into_iter().map(|(tag, field)| {
        let (name, unset) = (&field.name, is_default(field));
        let present = version_in(field.versions).map(|present| quote!(#present &&));
        quote!(if #present !(#unset) { tags.put(#tag, &self.#name, version)?; })
    });
    let refusals = message.tagged().into_iter().filter_map(|(_, field)| {
        let (present, refuse) = (version_in(field.versions)?, refuse_elsewhere(message, field)?);
        Some(quote!(if !(#present) #refuse))
    });
    let struct_name = message.name.to_string();
    Some(quote! {
        #(#refusals)*
        if flexible {
            #[allow(unused_mut, reason = "a struct without tagged fields has nothing to put")]
            let mut tags = ::dohle_protocol::wire::TagWriter::new(&self.unknown_tagged_fields);
            #(#puts)*
            tags.finish(encoder)?;
        } else if !self.unknown_tagged_fields.is_empty() {
            return ::core::result::Result::Err(::dohle_protocol::wire::EncodeError::not_in_version(#struct_name, "unknown_tagged_fields", version));
        }
    })
}

fn decode_fn(message: &Message) -> TokenStream {
    let guard = version_guard(message, &quote!(DecodeError));
    let flexible = flexible_binding(message);
    let names = message.fields.iter().map(|field| &field.name);
    let fields = message.fields.iter().map(decode_field);
    let (tagged, unknown) = if message.keeps_unknown {
        (Some(decode_tagged(message)), Some(quote!(unknown_tagged_fields,)))
    } else {
        (None, None)
    };
    quote! {
        fn decode(
            decoder: &mut ::dohle_protocol::wire::Decoder,
            version: i16,
        ) -> ::core::result::Result<Self, ::dohle_protocol::wire::DecodeError> {
            #guard
            #flexible
            #(#fields)*
            #tagged
            ::core::result::Result::Ok(Self { #(#names,)* #unknown })
        }
    }
}

fn decode_field(field: &Field) -> TokenStream {
    let (name, ty, default) = (&field.name, &field.ty, default_value(field));
    if field.tag.is_some() {
        return quote!(let mut #name: #ty = #default;);
    }
    let flexible = flexible_of(field);
    let read = quote!(<#ty as ::dohle_protocol::wire::Wire>::decode(decoder, version, #flexible)?);
    let value = match version_in(field.versions) {
        None => read,
        Some(present) => quote!(if #present { #read } else { #default }),
    };
    let null_check = null_check(field).map(|forbidden| {
        let present = version_in(field.versions).map(|present| quote!(#present &&));
        quote!(if #present #forbidden && #name.is_none() {
            return ::core::result::Result::Err(::dohle_protocol::wire::DecodeError::Null);
        })
    });
    quote! {
        let #name: #ty = #value;
        #null_check
    }
}

fn decode_tagged(message: &Message) -> TokenStream {
    let arms = message.tagged().into_iter().map(|(tag, field)| {
        let name = &field.name;
        let present = version_in(field.versions).map(|present| quote!(if #present));
        quote!(#tag #present => #name = ::dohle_protocol::wire::Wire::decode(decoder, version, true)?,)
    });
    quote! {
        let mut unknown_tagged_fields = ::dohle_protocol::wire::TaggedFields::default();
        if flexible {
            for _ in 0..decoder.unsigned_varint()? {
                let field = decoder.begin_tagged_field()?;
                match field.tag {
                    #(#arms)*
                    tag => unknown_tagged_fields.push(tag, decoder.rest()?),
                }
                decoder.end_tagged_field(&field)?;
            }
        }
    }
}

fn schema_const(message: &Message) -> TokenStream {
    let struct_name = message.name.to_string();
    let versions = range(message.versions.unwrap_or(Versions::ALL));
    let flexible = range(message.flexible);
    let fields = message.fields.iter().map(|field| {
        let (name, ty) = (field.name.to_string(), &field.ty);
        let (versions, nullable) = (range(field.versions), range(field.nullable));
        let never_flexible = field.never_flexible;
        let tag = field.tag.map_or_else(
            || quote!(::core::option::Option::None),
            |tag| quote!(::core::option::Option::Some(#tag)),
        );
        quote! {
            ::dohle_protocol::message::FieldSchema {
                name: #name,
                kind: <#ty as ::dohle_protocol::wire::Wire>::KIND,
                versions: #versions,
                nullable: #nullable,
                tag: #tag,
                never_flexible: #never_flexible,
            }
        }
    });
    quote! {
        const SCHEMA: &'static ::dohle_protocol::message::Schema = &::dohle_protocol::message::Schema {
            name: #struct_name,
            versions: #versions,
            flexible: #flexible,
            fields: &[#(#fields),*],
        };
    }
}

fn version_guard(message: &Message, error: &TokenStream) -> Option<TokenStream> {
    let Versions { first, last } = message.versions?;
    let name = message.name.to_string();
    Some(quote! {
        if !(#first..=#last).contains(&version) {
            return ::core::result::Result::Err(::dohle_protocol::wire::#error::UnsupportedVersion { message: #name, version });
        }
    })
}

fn flexible_binding(message: &Message) -> TokenStream {
    let flexible = if message.flexible.is_empty() {
        quote!(false)
    } else {
        version_in(message.flexible).unwrap_or_else(|| quote!(true))
    };
    quote!(let flexible = #flexible;)
}

fn flexible_of(field: &Field) -> TokenStream {
    if field.never_flexible { quote!(false) } else { quote!(flexible) }
}

/// The block that refuses a value which the version cannot carry; none if the field may be dropped.
fn refuse_elsewhere(message: &Message, field: &Field) -> Option<TokenStream> {
    if field.ignorable {
        return None;
    }
    let unset = is_default(field);
    let error = encode_error(message, field, &quote!(not_in_version));
    Some(quote!({ if !(#unset) { return #error; } }))
}

fn encode_error(message: &Message, field: &Field, kind: &TokenStream) -> TokenStream {
    let (struct_name, field_name) = (message.name.to_string(), field.name.to_string());
    quote!(::core::result::Result::Err(::dohle_protocol::wire::EncodeError::#kind(#struct_name, #field_name, version)))
}

/// A condition under which null is not allowed; none where the type or the range makes the question moot.
fn null_check(field: &Field) -> Option<TokenStream> {
    version_in(field.nullable).map(|nullable| quote!(!(#nullable)))
}

fn default_value(field: &Field) -> TokenStream {
    let ty = &field.ty;
    field
        .default
        .as_ref()
        .map_or_else(|| quote!(<#ty as ::core::default::Default>::default()), |value| quote!(#value))
}

fn is_default(field: &Field) -> TokenStream {
    let (name, default) = (&field.name, default_value(field));
    quote!(self.#name == #default)
}

/// The condition "`version` lies in the range"; none if it always does.
fn version_in(versions: Versions) -> Option<TokenStream> {
    let Versions { first, last } = versions;
    match (first, last) {
        (0, i16::MAX) => None,
        (0, last) => Some(quote!(version <= #last)),
        (first, i16::MAX) => Some(quote!(version >= #first)),
        (first, last) => Some(quote!((#first..=#last).contains(&version))),
    }
}

fn range(versions: Versions) -> TokenStream {
    let Versions { first, last } = versions;
    quote!(::dohle_protocol::message::VersionRange { first: #first, last: #last })
}
