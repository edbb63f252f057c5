//! One configuration key: its type, its default, the values it takes, and when a change takes effect.

use std::fmt;

/// What there is to know about one key, of a topic or of a broker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfigKey {
    pub name: &'static str,
    pub kind: ConfigKind,
    /// `None`: unset.
    pub default: Option<&'static str>,
    pub dynamic: Dynamic,
    /// One sentence or two.
    pub doc: &'static str,
}

/// When a change of a key takes effect, and where it may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dynamic {
    /// At the next start; only in the file.
    ReadOnly,
    /// At once; for one broker.
    PerBroker,
    /// At once; for one broker or for all.
    ClusterWide,
}

/// The type of a key, and its bounds (inclusive).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConfigKind {
    Boolean,
    Int {
        min: i32,
        max: i32,
    },
    Long {
        min: i64,
        max: i64,
    },
    Double {
        min: f64,
        max: f64,
    },
    String,
    /// One of these, as they are written here.
    Enum(&'static [&'static str]),
    List,
    /// Any of these.
    EnumList(&'static [&'static str]),
    /// Never shown.
    Password,
}

/// A value that fits its key.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    Boolean(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    String(String),
    List(Vec<String>),
}

/// A value that does not fit its key. The text names the key, the value and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid value {value} for configuration {name}: it must be {allowed}.")]
pub struct ConfigError {
    pub name: String,
    pub value: String,
    pub allowed: String,
}

impl ConfigKey {
    /// A key that is read once, at start.
    pub const fn new(name: &'static str, kind: ConfigKind, default: Option<&'static str>, doc: &'static str) -> ConfigKey {
        ConfigKey {
            name,
            kind,
            default,
            dynamic: Dynamic::ReadOnly,
            doc,
        }
    }

    pub const fn dynamic(mut self, dynamic: Dynamic) -> ConfigKey {
        self.dynamic = dynamic;
        self
    }

    /// Reads a value; spaces around it do not count, except in a password.
    pub fn parse(&self, text: &str) -> Result<ConfigValue, ConfigError> {
        self.kind.parse(text).ok_or_else(|| ConfigError {
            name: self.name.to_owned(),
            value: if self.is_sensitive() {
                "[hidden]".to_owned()
            } else {
                shortened(text)
            },
            allowed: self.kind.to_string(),
        })
    }

    /// The default as a value; `None` if the key is unset by default.
    ///
    /// # Panics
    /// If the default does not fit the key, which a test of each registry rules out.
    pub fn default_value(&self) -> Option<ConfigValue> {
        self.default
            .map(|text| self.parse(text).expect("the default of a key fits the key"))
    }

    /// Whether the value must not be told to anybody.
    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigKind::Password
    }

    pub fn is_read_only(&self) -> bool {
        self.dynamic == Dynamic::ReadOnly
    }
}

/// A value as it is repeated in an error: a client may send megabytes.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl ConfigKind {
    pub const ANY_INT: ConfigKind = ConfigKind::int_from(i32::MIN);
    pub const ANY_LONG: ConfigKind = ConfigKind::long_from(i64::MIN);

    pub const fn int_from(min: i32) -> ConfigKind {
        ConfigKind::Int { min, max: i32::MAX }
    }

    pub const fn long_from(min: i64) -> ConfigKind {
        ConfigKind::Long { min, max: i64::MAX }
    }

    fn parse(self, text: &str) -> Option<ConfigValue> {
        let trimmed = text.trim();
        match self {
            ConfigKind::Boolean if trimmed.eq_ignore_ascii_case("true") => Some(ConfigValue::Boolean(true)),
            ConfigKind::Boolean => trimmed.eq_ignore_ascii_case("false").then_some(ConfigValue::Boolean(false)),
            ConfigKind::Int { min, max } => trimmed
                .parse()
                .ok()
                .filter(|number| (min..=max).contains(number))
                .map(ConfigValue::Int),
            ConfigKind::Long { min, max } => trimmed
                .parse()
                .ok()
                .filter(|number| (min..=max).contains(number))
                .map(ConfigValue::Long),
            ConfigKind::Double { min, max } => trimmed
                .parse()
                .ok()
                .filter(|number| (min..=max).contains(number))
                .map(ConfigValue::Double),
            ConfigKind::String => Some(ConfigValue::String(trimmed.to_owned())),
            ConfigKind::Password => Some(ConfigValue::String(text.to_owned())),
            ConfigKind::Enum(allowed) => allowed.contains(&trimmed).then(|| ConfigValue::String(trimmed.to_owned())),
            ConfigKind::List => Some(ConfigValue::List(split_list(trimmed))),
            ConfigKind::EnumList(allowed) => {
                let items = split_list(trimmed);
                items
                    .iter()
                    .all(|item| allowed.contains(&item.as_str()))
                    .then_some(ConfigValue::List(items))
            }
        }
    }

    pub fn is_list(self) -> bool {
        matches!(self, ConfigKind::List | ConfigKind::EnumList(_))
    }

    /// The number of this type in DescribeConfigs.
    pub fn wire_type(self) -> i8 {
        match self {
            ConfigKind::Boolean => 1,
            ConfigKind::String | ConfigKind::Enum(_) => 2,
            ConfigKind::Int { .. } => 3,
            ConfigKind::Long { .. } => 5,
            ConfigKind::Double { .. } => 6,
            ConfigKind::List | ConfigKind::EnumList(_) => 7,
            ConfigKind::Password => 9,
        }
    }
}

/// The items of a list: separated by commas, without the spaces around them. An empty text is an empty list.
pub(crate) fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        Vec::new()
    } else {
        text.split(',').map(|item| item.trim().to_owned()).collect()
    }
}

impl fmt::Display for ConfigKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigKind::Boolean => f.write_str("true or false"),
            ConfigKind::Int { min, max } => whole_number(f, (*min).into(), (*max).into(), i32::MAX.into()),
            ConfigKind::Long { min, max } => whole_number(f, *min, *max, i64::MAX),
            ConfigKind::Double { min, max: f64::MAX } => write!(f, "a number from {min}"),
            ConfigKind::Double { min, max } => write!(f, "a number from {min} to {max}"),
            ConfigKind::String => f.write_str("text"),
            ConfigKind::Password => f.write_str("a secret"),
            ConfigKind::Enum(allowed) => write!(f, "one of {}", allowed.join(", ")),
            ConfigKind::List => f.write_str("a list with commas"),
            ConfigKind::EnumList(allowed) => write!(f, "a list of any of {}", allowed.join(", ")),
        }
    }
}

fn whole_number(f: &mut fmt::Formatter<'_>, min: i64, max: i64, type_max: i64) -> fmt::Result {
    write!(f, "a whole number from {min} to {max}")?;
    if max == type_max {
        f.write_str(" (the largest there is)")
    } else {
        Ok(())
    }
}

impl ConfigValue {
    pub fn as_bool(&self) -> Option<bool> {
        if let ConfigValue::Boolean(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The value of an `Int` or a `Long`.
    pub fn as_long(&self) -> Option<i64> {
        match self {
            ConfigValue::Int(value) => Some((*value).into()),
            ConfigValue::Long(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i32> {
        if let ConfigValue::Int(value) = self { Some(*value) } else { None }
    }

    pub fn as_double(&self) -> Option<f64> {
        if let ConfigValue::Double(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let ConfigValue::String(value) = self { Some(value) } else { None }
    }

    pub fn as_list(&self) -> Option<&[String]> {
        if let ConfigValue::List(items) = self { Some(items) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: ConfigKind) -> ConfigKey {
        ConfigKey::new("log.segment.bytes", kind, None, "For the test.")
    }

    #[test]
    fn values_are_read_by_type() {
        let table = [
            (ConfigKind::Boolean, " TRUE ", ConfigValue::Boolean(true)),
            (ConfigKind::Boolean, "false", ConfigValue::Boolean(false)),
            (ConfigKind::int_from(14), "14", ConfigValue::Int(14)),
            (ConfigKind::ANY_INT, " -7", ConfigValue::Int(-7)),
            (ConfigKind::long_from(0), "9223372036854775807", ConfigValue::Long(i64::MAX)),
            (ConfigKind::Double { min: 0.0, max: 1.0 }, "0.5", ConfigValue::Double(0.5)),
            (ConfigKind::String, " a b ", ConfigValue::String("a b".to_owned())),
            (ConfigKind::Password, " a b ", ConfigValue::String(" a b ".to_owned())),
            (ConfigKind::Enum(&["x", "y"]), "y", ConfigValue::String("y".to_owned())),
            (ConfigKind::List, "a , b", ConfigValue::List(vec!["a".to_owned(), "b".to_owned()])),
            (ConfigKind::List, "", ConfigValue::List(Vec::new())),
            (
                ConfigKind::EnumList(&["x", "y"]),
                "y,x",
                ConfigValue::List(vec!["y".to_owned(), "x".to_owned()]),
            ),
        ];
        for (kind, text, value) in table {
            assert_eq!(key(kind).parse(text), Ok(value), "{kind:?} {text:?}");
        }
    }

    #[test]
    fn g1_a_refusal_names_key_value_and_what_is_allowed() {
        let table = [
            (
                ConfigKind::int_from(14),
                "-1",
                "a whole number from 14 to 2147483647 (the largest there is)",
            ),
            (
                ConfigKind::int_from(14),
                "99999999999999",
                "a whole number from 14 to 2147483647 (the largest there is)",
            ),
            (ConfigKind::Long { min: -1, max: 5 }, "6", "a whole number from -1 to 5"),
            (
                ConfigKind::int_from(14),
                "1e3",
                "a whole number from 14 to 2147483647 (the largest there is)",
            ),
            (ConfigKind::Boolean, "yes", "true or false"),
            (ConfigKind::Double { min: 0.0, max: 1.0 }, "NaN", "a number from 0 to 1"),
            (ConfigKind::Enum(&["x", "y"]), "Y", "one of x, y"),
            (ConfigKind::EnumList(&["x", "y"]), "x,", "a list of any of x, y"),
        ];
        for (kind, text, allowed) in table {
            let error = key(kind).parse(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("Invalid value {text} for configuration log.segment.bytes: it must be {allowed}.")
            );
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_megabytes() {
        let error = key(ConfigKind::Boolean).parse(&"é".repeat(1 << 20)).unwrap_err();
        assert!(error.to_string().len() < 400);
    }
}
