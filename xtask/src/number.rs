//! Figures as people read them.

/// How many digits say something: more would be noise.
const DIGITS: i32 = 4;

/// Four digits that count, thousands set apart: `0.1234`, `812`, `12 345`.
pub(crate) fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "—".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs().log10();
    if !(-6.0..15.0).contains(&size) {
        return format!("{value:.3e}");
    }
    #[expect(clippy::cast_possible_truncation, reason = "between -6 and 15")]
    let whole_digits = size.floor() as i32 + 1;
    let decimals = usize::try_from(DIGITS - whole_digits).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{}{point}{rest}", thousands(whole))
}

/// A ratio: three digits behind the point are more than the spread allows, two hide a percent.
pub(crate) fn ratio(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.3}")
    } else {
        figure(value)
    }
}

/// A figure at an axis, where there is little room: `100k`, `5M`.
pub(crate) fn short(value: f64) -> String {
    for (unit, sign) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if value.abs() >= unit {
            return format!("{}{sign}", figure(value / unit));
        }
    }
    figure(value)
}

/// `1 repeat`, `3 repeats`.
pub(crate) fn repeats(count: u32) -> String {
    format!("{count} repeat{}", if count == 1 { "" } else { "s" })
}

/// Sets thousands apart, from five digits on.
fn thousands(whole: &str) -> String {
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |digits| ("-", digits));
    if digits.len() < 5 {
        return whole.to_owned();
    }
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_count() {
        for (value, text) in [
            (0.0, "0"),
            (812.0, "812"),
            (812.349, "812.3"),
            (1234.5, "1234"),
            (12345.6, "12 346"),
            (-1_234_567.0, "-1 234 567"),
            (0.123_456, "0.1235"),
            (0.000_012_3, "0.0000123"),
            (1.0, "1"),
            (9999.9, "10 000"),
            (1e-9, "1.000e-9"),
            (f64::NAN, "—"),
            (f64::INFINITY, "—"),
        ] {
            assert_eq!(figure(value), text, "{value}");
        }
    }

    #[test]
    fn an_axis_has_little_room() {
        assert_eq!(
            [short(0.0), short(999.0), short(2e4), short(1.5e6)],
            ["0", "999", "20k", "1.5M"]
        );
        assert_eq!([repeats(1), repeats(15)], ["1 repeat", "15 repeats"]);
    }

    #[test]
    fn ratios_show_a_tenth_of_a_percent_but_no_false_digits() {
        assert_eq!(
            [ratio(0.98765), ratio(12.3456), ratio(1234.5)],
            ["0.988", "12.35", "1234"]
        );
    }
}
