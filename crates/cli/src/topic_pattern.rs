//! Topics by regular expression: a list of patterns between commas, which must match the whole name.

use regex_lite::Regex;

use crate::arguments::UsageError;

#[derive(Debug)]
pub(crate) struct TopicPattern(Regex);

impl TopicPattern {
    /// Quotes around the list and blanks in it are ignored, as Kafka's tools do.
    pub(crate) fn new(list: &str) -> Result<TopicPattern, UsageError> {
        let quotes = ['"', '\''];
        let pattern = list.trim().replace(',', "|").replace(' ', "");
        let pattern = pattern.trim_start_matches(quotes).trim_end_matches(quotes);
        Regex::new(&format!("^(?:{pattern})$"))
            .map(TopicPattern)
            .map_err(|error| UsageError(format!("{list} is an invalid regex: {error}")))
    }

    pub(crate) fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_list_and_matches_whole_names() {
        let pattern = TopicPattern::new("'a.*, b'").unwrap();
        assert!(["a", "abc", "b"].iter().all(|topic| pattern.matches(topic)));
        assert!(!["ba", "bb", ""].iter().any(|topic| pattern.matches(topic)));
        assert!(TopicPattern::new("*").is_err());
    }
}
