//! The value of `--add-config`: `k1=v1,k2=[v1,v2],k3=[]`. Commas within brackets belong to the value; the brackets do not.

use crate::arguments::usage;

pub(super) fn parse_pairs(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for pair in split_outside_brackets(text) {
        let Some((key, value)) = pair.split_once('=') else {
            return usage("Invalid entity config: all configs to be added must be in the format \"key=val\".");
        };
        pairs.push((key.trim().to_owned(), value.replace(['[', ']'], "").trim().to_owned()));
    }
    Ok(pairs)
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ',' && depth <= 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_within_brackets_belong_to_the_value() {
        let pairs = parse_pairs("retention.ms=2000, cleanup.policy=[compact,delete],empty=,x=[]").unwrap();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("retention.ms", "2000"),
                ("cleanup.policy", "compact,delete"),
                ("empty", ""),
                ("x", "")
            ]
        );
        assert!(parse_pairs("a=1,b").is_err());
    }
}
