//! A line on stderr that says how far long work is; nothing at all unless stderr is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work of a known length in bytes.
pub(crate) fn bytes_bar(what: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}").expect("the template is valid");
    bar(Some(total)).with_style(style).with_message(what.to_owned())
}

/// Records of an unknown number.
pub(crate) fn records_line(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {human_pos} records, {per_sec}").expect("the template is valid");
    bar(None).with_style(style).with_message(what.to_owned())
}

fn bar(total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(5));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
