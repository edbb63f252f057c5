//! What `#[message(..)]` and `#[field(..)]` say, checked.

use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, Field as SynField, Fields, Ident, LitInt, LitStr, Result, Type};

/// An inclusive range of versions; `none` is an empty one.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Versions {
    pub(crate) first: i16,
    pub(crate) last: i16,
}

impl Versions {
    pub(crate) const ALL: Versions = Versions { first: 0, last: i16::MAX };
    const NONE: Versions = Versions { first: i16::MAX, last: -1 };

    fn parse(text: &LitStr) -> Result<Versions> {
        let value = text.value();
        let number = |digits: &str| {
            digits
                .parse::<i16>()
                .map_err(|_| Error::new(text.span(), "expected \"3\", \"3+\", \"3-5\" or \"none\""))
        };
        if value == "none" {
            return Ok(Versions::NONE);
        }
        if let Some(first) = value.strip_suffix('+') {
            return Ok(Versions {
                first: number(first)?,
                last: i16::MAX,
            });
        }
        let (first, last) = value.split_once('-').unwrap_or((&value, &value));
        Ok(Versions {
            first: number(first)?,
            last: number(last)?,
        })
    }

    pub(crate) fn is_empty(self) -> bool {
        self.first > self.last
    }
}

/// A struct and its `#[message(..)]`.
pub(crate) struct Message {
    pub(crate) name: Ident,
    /// Versions outside are refused; `None` for nested structs, which take the version of their parent.
    pub(crate) versions: Option<Versions>,
    pub(crate) flexible: Versions,
    pub(crate) fields: Vec<Field>,
    /// The struct ends with `unknown_tagged_fields`.
    pub(crate) keeps_unknown: bool,
}

/// A field and its `#[field(..)]`.
pub(crate) struct Field {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) versions: Versions,
    pub(crate) nullable: Versions,
    pub(crate) default: Option<Expr>,
    pub(crate) tag: Option<u32>,
    pub(crate) ignorable: bool,
    /// The field keeps the old encoding in flexible versions (the client id in the request header).
    pub(crate) never_flexible: bool,
}

impl Message {
    pub(crate) fn parse(input: &DeriveInput) -> Result<Message> {
        let Data::Struct(data) = &input.data else {
            return Err(Error::new(input.span(), "a message is a struct"));
        };
        let Fields::Named(named) = &data.fields else {
            return Err(Error::new(input.span(), "a message has named fields"));
        };
        let mut message = Message {
            name: input.ident.clone(),
            versions: None,
            flexible: Versions::NONE,
            fields: Vec::new(),
            keeps_unknown: false,
        };
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("message")) {
            attribute.parse_nested_meta(|meta| {
                let value = Versions::parse(&meta.value()?.parse()?)?;
                match meta.path.get_ident().map(Ident::to_string).as_deref() {
                    Some("versions") => message.versions = Some(value),
                    Some("flexible") => message.flexible = value,
                    _ => return Err(meta.error("expected `versions` or `flexible`")),
                }
                Ok(())
            })?;
        }
        for field in &named.named {
            if field.ident.as_ref().is_some_and(|name| name == "unknown_tagged_fields") {
                message.keeps_unknown = true;
            } else {
                message.fields.push(Field::parse(field)?);
            }
        }
        if message.keeps_unknown == message.flexible.is_empty() {
            return Err(Error::new(
                input.span(),
                "`unknown_tagged_fields` is there exactly when there are flexible versions",
            ));
        }
        Ok(message)
    }

    /// The fields with a tag, in the order in which they are written.
    pub(crate) fn tagged(&self) -> Vec<(u32, &Field)> {
        let mut tagged: Vec<_> = self.fields.iter().filter_map(|field| Some((field.tag?, field))).collect();
        tagged.sort_by_key(|(tag, _)| *tag);
        tagged
    }
}

impl Field {
    fn parse(source: &SynField) -> Result<Field> {
        let name = source
            .ident
            .clone()
            .ok_or_else(|| Error::new(source.span(), "a field has a name"))?;
        let mut field = Field {
            name,
            ty: source.ty.clone(),
            versions: Versions::ALL,
            nullable: Versions::ALL,
            default: None,
            tag: None,
            ignorable: false,
            never_flexible: false,
        };
        for attribute in source.attrs.iter().filter(|attribute| attribute.path().is_ident("field")) {
            attribute.parse_nested_meta(|meta| {
                match meta.path.get_ident().map(Ident::to_string).as_deref() {
                    Some("versions") => field.versions = Versions::parse(&meta.value()?.parse()?)?,
                    Some("nullable") => field.nullable = Versions::parse(&meta.value()?.parse()?)?,
                    Some("default") => field.default = Some(meta.value()?.parse()?),
                    Some("tag") => field.tag = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?),
                    Some("ignorable") => field.ignorable = true,
                    Some("never_flexible") => field.never_flexible = true,
                    _ => return Err(meta.error("expected `versions`, `nullable`, `default`, `tag`, `ignorable` or `never_flexible`")),
                }
                Ok(())
            })?;
        }
        Ok(field)
    }
}
