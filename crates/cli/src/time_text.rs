//! Times and durations as Kafka's tools read them: ISO 8601, as far as Java does.

use crate::date_format::days_from_civil;

/// `YYYY-MM-DDThh:mm:ss.sss`, then nothing, `Z`, or an offset as in `+01:00`: milliseconds since 1970.
pub(crate) fn parse_datetime_ms(text: &str) -> anyhow::Result<i64> {
    let Some((date, rest)) = text.split_once('T') else {
        anyhow::bail!("Error parsing timestamp. It does not contain a 'T' according to ISO8601 format");
    };
    let (time, zone) = rest.split_at(rest.find(['+', '-', 'Z']).unwrap_or(rest.len()));
    let parsed = || {
        let [year, month, day] = numbers(date, '-')?;
        let (clock, fraction) = time.split_once('.')?;
        let [hours, minutes, seconds] = numbers(clock, ':')?;
        let millis = number(fraction, 999)?;
        let zone_minutes = zone_minutes(zone)?;
        let valid = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        let valid = valid && hours < 24 && minutes < 60 && seconds < 60;
        let clock_ms = ((hours * 60 + minutes - zone_minutes) * 60 + seconds) * 1000 + millis;
        valid.then(|| days_from_civil(year, month, day) * 86_400_000 + clock_ms)
    };
    parsed().ok_or_else(|| anyhow::anyhow!("Unparseable date: \"{text}\", expected the form YYYY-MM-DDThh:mm:ss.sss"))
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let numbers: Option<Vec<i64>> = text.split(separator).map(|part| number(part, 9999)).collect();
    numbers?.try_into().ok()
}

/// Digits only.
fn number(text: &str, max: i64) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = if digits { text.parse().ok() } else { None };
    value.filter(|&value| value <= max)
}

fn zone_minutes(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.as_bytes().first() {
        None => return Some(0),
        Some(b'Z') => return (zone.len() == 1).then_some(0),
        Some(b'-') => (-1, &zone[1..]),
        Some(_) => (1, &zone[1..]),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None => (
            digits.get(..2)?,
            digits.get(2..).filter(|minutes| !minutes.is_empty()).unwrap_or("0"),
        ),
    };
    Some(sign * (number(hours, 23)? * 60 + number(minutes, 59)?))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

/// `PnDTnHnMn.nS`; every part may be left out, but not all, and may be negative: milliseconds.
pub(crate) fn parse_duration_ms(text: &str) -> anyhow::Result<i64> {
    duration_ms(&text.to_ascii_uppercase()).ok_or_else(|| anyhow::anyhow!("Text cannot be parsed to a Duration: {text}"))
}

fn duration_ms(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (text.strip_prefix('P')?, None),
    };
    let mut total_ms = 0_i64;
    let mut parts = 0;
    let mut take = |text: &mut &str, unit: char, unit_ms: i64| -> Option<()> {
        if let Some((amount, rest)) = text.split_once(unit) {
            total_ms = total_ms.checked_add(amount_ms(amount, unit_ms)?)?;
            *text = rest;
            parts += 1;
        }
        Some(())
    };
    let (mut days, mut clock) = (days, time.unwrap_or_default());
    take(&mut days, 'D', 86_400_000)?;
    for (unit, unit_ms) in [('H', 3_600_000), ('M', 60_000), ('S', 1000)] {
        take(&mut clock, unit, unit_ms)?;
    }
    let ends_well = days.is_empty() && clock.is_empty() && time != Some("") && parts > 0;
    ends_well.then_some(if negative { -total_ms } else { total_ms })
}

/// Only seconds may have a fraction; what is finer than a millisecond is dropped.
fn amount_ms(amount: &str, unit_ms: i64) -> Option<i64> {
    let (whole, fraction) = match amount.split_once(['.', ',']) {
        Some((whole, fraction)) if unit_ms == 1000 && fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit()) => {
            (whole, fraction)
        }
        Some(_) => return None,
        None => (amount, ""),
    };
    let fraction_ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let whole_ms = whole.parse::<i64>().ok()?.checked_mul(unit_ms)?;
    whole_ms.checked_add(if whole.starts_with('-') { -fraction_ms } else { fraction_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes() {
        for (text, expected) in [
            ("1970-01-01T00:00:00.000", 0),
            ("1970-01-01T00:00:01.500Z", 1500),
            ("2000-02-29T00:00:00.000", 951_782_400_000),
            ("2000-02-28T23:59:59.999+00:00", 951_782_399_999),
            ("2026-11-22T16:10:17.041", 1_795_363_817_041),
            ("1970-01-01T01:30:00.000+01:30", 0),
            ("1969-12-31T23:00:00.000-01", 0),
            ("1969-12-31T23:00:00.000-0100", 0),
        ] {
            assert_eq!(parse_datetime_ms(text).unwrap(), expected, "{text}");
        }
        let error = parse_datetime_ms("2020-01-01").unwrap_err().to_string();
        assert_eq!(
            error,
            "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format"
        );
        for wrong in [
            "2020-01-01T",
            "2020-01-01T00:00:00",
            "2020-13-01T00:00:00.000",
            "2019-02-29T00:00:00.000",
            "2020-01-01T24:00:00.000",
            "2020-01-01T00:00:00.000+x",
            "2020-01-01T00:00:00.000Zulu",
            "-2020-01-01T00:00:00.000",
            "T",
        ] {
            assert!(
                parse_datetime_ms(wrong)
                    .unwrap_err()
                    .to_string()
                    .contains("YYYY-MM-DDThh:mm:ss.sss"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("PT0S", 0),
            ("P1D", 86_400_000),
            ("pt1h2m3s", 3_723_000),
            ("P1DT1.25S", 86_401_250),
            ("PT-1.5S", -1500),
            ("-PT1M", -60_000),
            ("+PT1,5S", 1500),
        ] {
            assert_eq!(parse_duration_ms(text).unwrap(), expected, "{text}");
        }
        for wrong in [
            "nonsense",
            "",
            "P",
            "PT",
            "P1DT",
            "P1H",
            "PT1D",
            "PT1S1M",
            "PT1.5M",
            "P1",
            "PTxS",
            "P99999999999999D",
            "1D",
            "PT1.é1S",
        ] {
            assert!(parse_duration_ms(wrong).is_err(), "{wrong}");
        }
    }
}
