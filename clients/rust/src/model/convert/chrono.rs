//! chrono. Infinities are an error: look at `is_infinite` first.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use super::ConvertError;
use crate::model::datetime::{Date, Time, Timestamp};

impl TryFrom<Timestamp> for DateTime<Utc> {
    type Error = ConvertError;

    fn try_from(timestamp: Timestamp) -> Result<Self, ConvertError> {
        timestamp.unix_microseconds().and_then(DateTime::from_timestamp_micros).ok_or(ConvertError)
    }
}

impl TryFrom<Timestamp> for NaiveDateTime {
    type Error = ConvertError;

    fn try_from(timestamp: Timestamp) -> Result<Self, ConvertError> {
        DateTime::<Utc>::try_from(timestamp).map(|time| time.naive_utc())
    }
}

impl From<DateTime<Utc>> for Timestamp {
    /// What is out of PostgreSQL's range is the nearest infinity: chrono's is
    /// smaller.
    fn from(time: DateTime<Utc>) -> Self {
        Timestamp::from_unix_microseconds(time.timestamp_micros())
            .unwrap_or(Timestamp::NEG_INFINITY)
    }
}

impl TryFrom<Date> for NaiveDate {
    type Error = ConvertError;

    fn try_from(date: Date) -> Result<Self, ConvertError> {
        let (year, month, day) = date.ymd().ok_or(ConvertError)?;
        NaiveDate::from_ymd_opt(year, month, day).ok_or(ConvertError)
    }
}

impl TryFrom<Time> for NaiveTime {
    type Error = ConvertError;

    /// 24:00:00 is an error.
    fn try_from(time: Time) -> Result<Self, ConvertError> {
        let seconds = u32::try_from(time.0 / 1_000_000).map_err(|_| ConvertError)?;
        let nanoseconds = (time.0 % 1_000_000) as u32 * 1000;
        NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanoseconds).ok_or(ConvertError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts() {
        let time = DateTime::<Utc>::try_from(Timestamp(-1)).unwrap();
        assert_eq!(time.to_string(), "1999-12-31 23:59:59.999999 UTC");
        assert_eq!(Timestamp::from(time), Timestamp(-1));
        assert_eq!(DateTime::<Utc>::try_from(Timestamp::INFINITY), Err(ConvertError));
        assert_eq!(NaiveDate::try_from(Date(59)).unwrap().to_string(), "2000-02-29");
        assert_eq!(NaiveDate::try_from(Date::NEG_INFINITY), Err(ConvertError));
        assert_eq!(NaiveTime::try_from(Time(1_500_000)).unwrap().to_string(), "00:00:01.500");
        assert_eq!(NaiveTime::try_from(Time(crate::model::datetime::DAY)), Err(ConvertError));
    }
}
