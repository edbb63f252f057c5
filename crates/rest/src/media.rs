//! Content types: what a body is written in, and what a client accepts.

use axum::http::{HeaderMap, header};

use crate::format::Format;

pub(crate) const KAFKA_V2: &str = "application/vnd.kafka.v2+json";
pub(crate) const JSON: &str = "application/json";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// Records lie in the body in this format.
    Embedded(Format),
    /// Records that need a schema registry.
    Schema,
    /// Everything without records.
    Kafka,
    Json,
}

impl Media {
    /// `text` is a media type with or without parameters.
    pub(crate) fn of(text: &str) -> Option<Media> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            JSON => Some(Media::Json),
            KAFKA_V2 => Some(Media::Kafka),
            other => match other.strip_prefix("application/vnd.kafka.")?.strip_suffix(".v2+json")? {
                "avro" | "jsonschema" | "protobuf" => Some(Media::Schema),
                format => Format::of(format).map(Media::Embedded),
            },
        }
    }
}

/// What the client accepts, the best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted(Vec<Range>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    Any,
    One(Media),
}

impl Accepted {
    /// Types that are not known are left out.
    pub(crate) fn of(headers: &HeaderMap) -> Accepted {
        let texts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut ranges: Vec<(f32, Range)> = Vec::new();
        let mut asked = false;
        for item in texts
            .flat_map(|text| text.split(','))
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            asked = true;
            let quality = item
                .split(';')
                .skip(1)
                .find_map(|parameter| parameter.trim().strip_prefix("q="))
                .map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0));
            let essence = item.split(';').next().unwrap_or_default().trim();
            let range = match essence {
                "*/*" | "*" | "application/*" => Some(Range::Any),
                one => Media::of(one).map(Range::One),
            };
            if let Some(range) = range.filter(|_| quality > 0.0) {
                ranges.push((quality, range));
            }
        }
        if !asked {
            return Accepted(vec![Range::Any]);
        }
        ranges.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        Accepted(ranges.into_iter().map(|(_, range)| range).collect())
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether plain JSON will do.
    pub(crate) fn json(&self) -> bool {
        self.0.iter().any(|range| matches!(range, Range::Any | Range::One(Media::Json)))
    }

    /// The type of an answer without records, and of an error.
    pub(crate) fn plain(&self) -> &'static str {
        match self.0.first() {
            Some(Range::One(Media::Json)) => JSON,
            _ => KAFKA_V2,
        }
    }

    /// The type of an answer with records in this format, if it is accepted.
    pub(crate) fn records(&self, format: Format) -> Option<&'static str> {
        self.0.iter().find_map(|range| match range {
            Range::Any | Range::One(Media::Kafka) => Some(format.media_type()),
            Range::One(Media::Embedded(asked)) if *asked == format => Some(format.media_type()),
            Range::One(Media::Json) if format == Format::Json => Some(JSON),
            Range::One(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(text: &str) -> Accepted {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, text.parse().unwrap());
        Accepted::of(&headers)
    }

    #[test]
    fn media_types_are_known_with_parameters_and_in_any_case() {
        assert_eq!(
            Media::of("Application/VND.kafka.JSON.v2+json; charset=utf-8"),
            Some(Media::Embedded(Format::Json))
        );
        assert_eq!(Media::of("application/vnd.kafka.avro.v2+json"), Some(Media::Schema));
        assert_eq!(Media::of("application/vnd.kafka.v2+json"), Some(Media::Kafka));
        for unknown in [
            "text/plain",
            "application/vnd.kafka.xml.v2+json",
            "application/vnd.kafka.v1+json",
            "",
        ] {
            assert_eq!(Media::of(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn r1_accept_takes_the_best_that_is_known() {
        assert!(accepted("application/xml").is_nothing());
        assert!(accepted("application/json;q=0").is_nothing());
        assert_eq!(Accepted::of(&HeaderMap::new()).plain(), KAFKA_V2);
        assert_eq!(accepted("*/*").plain(), KAFKA_V2);
        assert_eq!(accepted("application/vnd.kafka.v2+json;q=0.5, application/json").plain(), JSON);
    }

    #[test]
    fn records_are_accepted_in_their_own_format_alone() {
        assert_eq!(accepted("application/vnd.kafka.binary.v2+json").records(Format::Json), None);
        assert_eq!(accepted("application/json").records(Format::Binary), None);
        assert_eq!(accepted("application/json").records(Format::Json), Some(JSON));
        assert_eq!(
            accepted("*/*").records(Format::Text),
            Some("application/vnd.kafka.text.v2+json; charset=utf-8")
        );
    }
}
