//! Times as ISO 8601 text.

/// Milliseconds since 1970 as `YYYY-MM-DDThh:mm:ss.sssZ`.
pub(crate) fn of_ms(ms: i64) -> String {
    let (days, millis) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let (seconds, fraction) = (millis / 1000, millis % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{:02}.{fraction:03}Z",
        seconds % 60
    )
}

/// `YYYY-MM-DDThh:mm:ss`, with a fraction or without, then `Z`, an offset as in `+01:00`, or nothing: milliseconds since 1970.
pub(crate) fn parse_ms(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let (time, zone) = rest.split_at(rest.find(['+', '-', 'Z']).unwrap_or(rest.len()));
    let [year, month, day] = numbers(date, '-')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hours, minutes, seconds] = numbers(clock, ':')?;
    let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let millis: i64 = digits.then(|| format!("{fraction:0<3}")[..3].parse().ok())??;
    let valid = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    let valid = valid && hours < 24 && minutes < 60 && seconds < 60;
    let clock_ms = ((hours * 60 + minutes - zone_minutes(zone)?) * 60 + seconds) * 1000 + millis;
    valid.then(|| days_from_civil(year, month, day) * 86_400_000 + clock_ms)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let numbers: Option<Vec<i64>> = text.split(separator).map(number).collect();
    numbers?.try_into().ok()
}

fn number(text: &str) -> Option<i64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn zone_minutes(zone: &str) -> Option<i64> {
    let sign = match zone {
        "" | "Z" => return Some(0),
        zone if zone.starts_with('+') => 1,
        zone if zone.starts_with('-') => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':').unwrap_or((&zone[1..], "0"));
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

/// The day counted from 1970-01-01. The year is taken to begin in March, so that the leap day is its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year.div_euclid(400) * 146_097 + day_of_era - 719_468
}

/// The reverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (year_of_era + days.div_euclid(146_097) * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{of_ms, parse_ms};

    #[test]
    fn times_are_written_as_they_are_read() {
        assert_eq!(of_ms(1_709_208_000_500), "2024-02-29T12:00:00.500Z");
        for days in (-800_000..800_000).step_by(13) {
            let ms = days * 86_400_000 + 12_345_678;
            let text = of_ms(ms);
            assert!(days < -719_162 || parse_ms(&text) == Some(ms), "{text}");
        }
    }

    #[test]
    fn times_with_and_without_fraction_and_zone() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29T12:00:00.5Z", 1_709_208_000_500),
            ("2024-02-29T13:00:00.123456+01:00", 1_709_208_000_123),
            ("2024-02-29T12:00:00", 1_709_208_000_000),
        ] {
            assert_eq!(parse_ms(text), Some(expected), "{text}");
        }
        for bad in [
            "",
            "2024-02-30T00:00:00Z",
            "2024-02-29",
            "1T2",
            "2024-01-01T00:00:00+",
            "2024-01-01T00:00:00Z01:00",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00.x",
        ] {
            assert_eq!(parse_ms(bad), None, "{bad}");
        }
    }
}
