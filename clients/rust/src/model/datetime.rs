//! Dates and times as PostgreSQL has them: counted from 2000-01-01, with
//! infinities, in the proleptic Gregorian calendar. `Display` is PostgreSQL's
//! ISO output.

use std::fmt;

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;
/// From 1970-01-01 to 2000-01-01, in seconds.
pub const EPOCH_SECONDS: i64 = 946_684_800;
const EPOCH_MICROSECONDS: i64 = EPOCH_SECONDS * 1_000_000;

/// Microseconds since 2000-01-01 00:00:00; of a `timestamptz` in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Days since 2000-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

/// Microseconds since midnight; 86400000000 is 24:00:00.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A time of day with a time zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimeTz {
    /// Local time.
    pub time: Time,
    /// Seconds east of UTC.
    pub offset: i32,
}

/// An interval: its parts do not convert into one another, and each has a sign
/// of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub microseconds: i64,
}

impl Timestamp {
    /// `infinity`
    pub const INFINITY: Timestamp = Timestamp(i64::MAX);
    /// `-infinity`
    pub const NEG_INFINITY: Timestamp = Timestamp(i64::MIN);

    /// Whether it is one of the two.
    pub const fn is_infinite(self) -> bool {
        self.0 == i64::MAX || self.0 == i64::MIN
    }

    /// Microseconds since 1970-01-01 00:00:00. `None` for infinities and what
    /// does not fit.
    pub const fn unix_microseconds(self) -> Option<i64> {
        if self.is_infinite() {
            return None;
        }
        self.0.checked_add(EPOCH_MICROSECONDS)
    }

    /// Of microseconds since 1970-01-01; `None` if they do not fit.
    pub const fn from_unix_microseconds(microseconds: i64) -> Option<Self> {
        match microseconds.checked_sub(EPOCH_MICROSECONDS) {
            Some(since) => Some(Timestamp(since)),
            None => None,
        }
    }

    /// Date and microseconds since midnight. `None` for infinities and what is
    /// no date.
    pub fn split(self) -> Option<(Date, Time)> {
        if self.is_infinite() {
            return None;
        }
        let days = i32::try_from(self.0.div_euclid(DAY)).ok()?;
        Some((Date(days), Time(self.0.rem_euclid(DAY))))
    }
}

impl Date {
    /// `infinity`
    pub const INFINITY: Date = Date(i32::MAX);
    /// `-infinity`
    pub const NEG_INFINITY: Date = Date(i32::MIN);
    // 4713-01-01 BC and what fits into PostgreSQL's Julian days
    const LEAST: i32 = -2_451_545;
    const GREATEST: i32 = i32::MAX - 2_451_545;

    /// Whether it is one of the two.
    pub const fn is_infinite(self) -> bool {
        self.0 == i32::MAX || self.0 == i32::MIN
    }

    /// Year (0 is 1 BC), month and day. `None` for infinities and what is out
    /// of PostgreSQL's range.
    pub fn ymd(self) -> Option<(i32, u32, u32)> {
        if !(Date::LEAST..=Date::GREATEST).contains(&self.0) {
            return None;
        }
        let days = i64::from(self.0) + 730_425; // since 0000-03-01
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        Some((year as i32, month as u32, day as u32))
    }
}

impl Interval {
    /// `infinity`, from PostgreSQL 17 on.
    pub const INFINITY: Interval =
        Interval { months: i32::MAX, days: i32::MAX, microseconds: i64::MAX };
    /// `-infinity`, from PostgreSQL 17 on.
    pub const NEG_INFINITY: Interval =
        Interval { months: i32::MIN, days: i32::MIN, microseconds: i64::MIN };
}

/// The date, and whether it is before Christ. `false` and nothing written if it
/// is out of range.
pub(crate) fn write_date(out: &mut dyn fmt::Write, date: Date) -> Option<Result<bool, fmt::Error>> {
    let (year, month, day) = date.ymd()?;
    let bc = year <= 0;
    let shown = if bc { 1 - year } else { year };
    Some(write!(out, "{shown:04}-{month:02}-{day:02}").map(|()| bc))
}

/// `hh:mm:ss.ffffff`, zeros at the end left out.
pub(crate) fn write_time(out: &mut dyn fmt::Write, time: Time) -> fmt::Result {
    let (seconds, fraction) = (time.0 / 1_000_000, time.0 % 1_000_000);
    write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    if fraction == 0 {
        return Ok(());
    }
    let (mut fraction, mut width) = (fraction, 6);
    while fraction % 10 == 0 {
        fraction /= 10;
        width -= 1;
    }
    write!(out, ".{fraction:0width$}")
}

pub(crate) const OUT_OF_RANGE: &str = "(out of range)";

fn infinity(positive: bool) -> &'static str {
    if positive {
        "infinity"
    } else {
        "-infinity"
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_infinite() {
            return f.write_str(infinity(self.0 > 0));
        }
        let Some((date, time)) = self.split().filter(|(date, _)| date.ymd().is_some()) else {
            return f.write_str(OUT_OF_RANGE);
        };
        let bc = write_date(f, date).unwrap_or(Ok(false))?;
        f.write_str(" ")?;
        write_time(f, time)?;
        f.write_str(if bc { " BC" } else { "" })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_infinite() {
            return f.write_str(infinity(self.0 > 0));
        }
        match write_date(f, *self) {
            Some(bc) => f.write_str(if bc? { " BC" } else { "" }),
            None => f.write_str(OUT_OF_RANGE),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time(f, *self)
    }
}

impl fmt::Display for TimeTz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time(f, self.time)?;
        let east = self.offset.unsigned_abs();
        let sign = if self.offset < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", east / 3600, east / 60 % 60)?;
        match east % 60 {
            0 => Ok(()),
            seconds => write!(f, ":{seconds:02}"),
        }
    }
}

/// Not PostgreSQL's form, but one that it reads back to the same interval.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Interval::INFINITY || *self == Interval::NEG_INFINITY {
            return f.write_str(infinity(self.months > 0));
        }
        let (sign, us) =
            (if self.microseconds < 0 { "-" } else { "" }, self.microseconds.unsigned_abs());
        let (seconds, fraction) = (us / 1_000_000, us % 1_000_000);
        write!(f, "{} mons {} days {sign}{seconds}.{fraction:06} secs", self.months, self.days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (days, text) in [
            (0, "2000-01-01"),
            (59, "2000-02-29"),
            (-10_957, "1970-01-01"),
            (-730_119, "0001-01-01"),
            (-730_120, "0001-12-31 BC"),
            (Date::LEAST, "4714-11-24 BC"),
            (i32::MAX, "infinity"),
            (i32::MIN, "-infinity"),
            (i32::MIN + 1, OUT_OF_RANGE),
            (i32::MAX - 1, OUT_OF_RANGE),
        ] {
            assert_eq!(Date(days).to_string(), text);
        }
    }

    #[test]
    fn times() {
        for (us, text) in [
            (0, "2000-01-01 00:00:00"),
            (-1, "1999-12-31 23:59:59.999999"),
            (1_500_000, "2000-01-01 00:00:01.5"),
            (i64::MIN, "-infinity"),
            (i64::MAX - 1, "294277-01-09 04:00:54.775806"),
            (i64::MIN + 1, OUT_OF_RANGE),
        ] {
            assert_eq!(Timestamp(us).to_string(), text);
        }
        assert_eq!(Time(DAY).to_string(), "24:00:00");
        assert_eq!(TimeTz { time: Time(1), offset: -3723 }.to_string(), "00:00:00.000001-01:02:03");
        let interval = Interval { months: 1, days: -2, microseconds: -500_000 };
        assert_eq!(interval.to_string(), "1 mons -2 days -0.500000 secs");
    }

    #[test]
    fn unix_time() {
        assert_eq!(Timestamp(0).unix_microseconds(), Some(EPOCH_MICROSECONDS));
        assert_eq!(Timestamp::INFINITY.unix_microseconds(), None);
        assert_eq!(Timestamp(i64::MAX - 1).unix_microseconds(), None);
        assert_eq!(Timestamp::from_unix_microseconds(i64::MIN), None);
        assert_eq!(Timestamp::from_unix_microseconds(0), Some(Timestamp(-EPOCH_MICROSECONDS)));
    }
}
