//! Words that have no place in the repository: unfinished code, silenced tests, paths of one machine, debris of editing.

use super::Source;

/// What may not stand in Rust code. Split so that this file does not find itself.
const IN_RUST: &[(&str, &str)] = &[
    (concat!("todo", "!("), "finish it or leave it out"),
    (concat!("unimplemented", "!("), "finish it or leave it out"),
    (concat!("#[ign", "ore"), "a test runs or is removed"),
    (concat!("dbg", "!("), "left over from debugging"),
    (concat!("tokio::", "fs"), "a hop per call; file work goes to blocking threads"),
];
const ANYWHERE: &[(&str, &str)] = &[
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("FIX", "ME"), "mend it or open an issue"),
    (concat!("XX", "X "), "mend it or open an issue"),
    (concat!("<<<<", "<<< "), "a merge left open"),
];

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !source.path.ends_with("Cargo.lock")) {
        let rules = ANYWHERE.iter().chain(if source.is_rust() { IN_RUST } else { &[] });
        for (word, why) in rules {
            for (number, _) in source.text.lines().enumerate().filter(|(_, line)| line.contains(word)) {
                found.push(format!("{}:{}: `{word}`: {why}", source.path.display(), number + 1));
            }
        }
        if source.is_rust() && source.text.lines().any(|line| line.ends_with(' ') || line.ends_with('\t')) {
            found.push(format!("{}: white space at the end of a line", source.path.display()));
        }
    }
    found
}
