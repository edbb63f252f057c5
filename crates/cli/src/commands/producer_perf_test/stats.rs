//! Counts and latencies of a measurement, in the words of Kafka's ProducerPerformance.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

const LATENCY_MS_MAX: u64 = 24 * 3600 * 1000;

pub(super) struct Stats {
    interval: Duration,
    total: Part,
    window: Part,
    latencies_ms: Histogram<u64>,
}

struct Part {
    start: Instant,
    records: u64,
    bytes: u64,
    latency_sum: Duration,
    latency_max: Duration,
}

impl Part {
    fn new() -> Part {
        Part {
            start: Instant::now(),
            records: 0,
            bytes: 0,
            latency_sum: Duration::ZERO,
            latency_max: Duration::ZERO,
        }
    }

    fn add(&mut self, latency: Duration, bytes: usize) {
        self.records += 1;
        self.bytes += bytes as u64;
        self.latency_sum += latency;
        self.latency_max = self.latency_max.max(latency);
    }

    fn rate(&self, amount: f64) -> f64 {
        amount / self.start.elapsed().as_secs_f64().max(0.001)
    }

    fn megabytes(&self) -> f64 {
        self.bytes as f64 / (1024.0 * 1024.0)
    }

    fn average_ms(&self) -> f64 {
        self.latency_sum.as_secs_f64() * 1000.0 / self.records.max(1) as f64
    }

    fn max_ms(&self) -> f64 {
        self.latency_max.as_secs_f64() * 1000.0
    }
}

impl Stats {
    pub(super) fn new(interval: Duration) -> Stats {
        let latencies_ms = Histogram::new_with_max(LATENCY_MS_MAX, 3).expect("the bounds are valid");
        Stats {
            interval,
            total: Part::new(),
            window: Part::new(),
            latencies_ms,
        }
    }

    /// Counts a record; the line for the interval that has just passed, if one has.
    pub(super) fn record(&mut self, latency: Duration, bytes: usize) -> Option<String> {
        self.total.add(latency, bytes);
        self.window.add(latency, bytes);
        self.latencies_ms.saturating_record(latency.as_millis() as u64);
        (self.window.start.elapsed() >= self.interval).then(|| {
            let window = std::mem::replace(&mut self.window, Part::new());
            format!(
                "{} records sent, {:.1} records/sec ({:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max latency.",
                window.records,
                window.rate(window.records as f64),
                window.rate(window.megabytes()),
                window.average_ms(),
                window.max_ms(),
            )
        })
    }

    pub(super) fn total(&self) -> String {
        let total = &self.total;
        let percentile = |quantile| self.latencies_ms.value_at_quantile(quantile);
        format!(
            "{} records sent, {:.6} records/sec ({:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max latency, \
             {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
            total.records,
            total.rate(total.records as f64),
            total.rate(total.megabytes()),
            total.average_ms(),
            total.max_ms(),
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            percentile(0.999),
        )
    }
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;

    use super::*;

    #[test]
    fn the_lines_have_the_form_that_scripts_parse() {
        let mut stats = Stats::new(Duration::ZERO);
        let window = stats.record(Duration::from_millis(2), 1024 * 1024).unwrap();
        let number = r"\d+\.\d";
        let expected = format!(r"^1 records sent, {number} records/sec \({number}\d MB/sec\), 2\.0 ms avg latency, 2\.0 ms max latency\.$");
        assert!(Regex::new(&expected).unwrap().is_match(&window), "{window}");
        stats.record(Duration::from_millis(4), 1024 * 1024);
        let total = stats.total();
        let expected = format!(
            r"^2 records sent, {number}{{6}} records/sec \({number}\d MB/sec\), 3\.00 ms avg latency, 4\.00 ms max latency, 2 ms 50th, 4 ms 95th, 4 ms 99th, 4 ms 99\.9th\.$"
        );
        assert!(Regex::new(&expected).unwrap().is_match(&total), "{total}");
    }
}
