//! Times as Java's `SimpleDateFormat` prints them, in UTC: enough of its pattern letters for a table of measurements.

/// Formats a time given in milliseconds since 1970. Letters without a meaning here are printed as they are.
pub(crate) fn format_ms(pattern: &str, time_ms: i64) -> String {
    let (days, ms_of_day) = (time_ms.div_euclid(86_400_000), time_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let mut text = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(letter) = rest.next() {
        let mut width = 1;
        while rest.next_if_eq(&letter).is_some() {
            width += 1;
        }
        let number = match letter {
            'y' => year,
            'M' => month,
            'd' => day,
            'H' => ms_of_day / 3_600_000,
            'm' => ms_of_day / 60_000 % 60,
            's' => ms_of_day / 1000 % 60,
            'S' => ms_of_day % 1000,
            other => {
                text.extend(std::iter::repeat_n(other, width));
                continue;
            }
        };
        text.push_str(&format!("{number:0width$}"));
    }
    text
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // Years are counted from March, so that the leap day is the last day of a year; 400 years have 146,097 days.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse: the day counted from 1970-01-01.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year.div_euclid(400) * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_default_pattern() {
        let pattern = "yyyy-MM-dd HH:mm:ss:SSS";
        assert_eq!(format_ms(pattern, 0), "1970-01-01 00:00:00:000");
        assert_eq!(format_ms(pattern, 951_782_399_999), "2000-02-28 23:59:59:999");
        assert_eq!(format_ms(pattern, 951_782_400_000), "2000-02-29 00:00:00:000");
        assert_eq!(format_ms(pattern, 1_795_363_817_041), "2026-11-22 16:10:17:041");
        assert_eq!(format_ms("HH:mm", 3_660_000), "01:01");
    }

    #[test]
    fn days_are_counted_in_both_directions() {
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
