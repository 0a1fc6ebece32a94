//! time. Infinities are an error: look at `is_infinite` first.

use time::{Month, OffsetDateTime, PrimitiveDateTime};

use super::ConvertError;
use crate::model::datetime::{Date, Time, Timestamp};

impl TryFrom<Timestamp> for OffsetDateTime {
    type Error = ConvertError;

    fn try_from(timestamp: Timestamp) -> Result<Self, ConvertError> {
        let microseconds = timestamp.unix_microseconds().ok_or(ConvertError)?;
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(microseconds) * 1000)
            .map_err(|_| ConvertError)
    }
}

impl TryFrom<Timestamp> for PrimitiveDateTime {
    type Error = ConvertError;

    fn try_from(timestamp: Timestamp) -> Result<Self, ConvertError> {
        let time = OffsetDateTime::try_from(timestamp)?;
        Ok(PrimitiveDateTime::new(time.date(), time.time()))
    }
}

impl TryFrom<Date> for time::Date {
    type Error = ConvertError;

    fn try_from(date: Date) -> Result<Self, ConvertError> {
        let (year, month, day) = date.ymd().ok_or(ConvertError)?;
        let month = Month::try_from(month as u8).map_err(|_| ConvertError)?;
        time::Date::from_calendar_date(year, month, day as u8).map_err(|_| ConvertError)
    }
}

impl TryFrom<Time> for time::Time {
    type Error = ConvertError;

    /// 24:00:00 is an error.
    fn try_from(time: Time) -> Result<Self, ConvertError> {
        let (seconds, microseconds) = (time.0 / 1_000_000, (time.0 % 1_000_000) as u32);
        let hour = u8::try_from(seconds / 3600).map_err(|_| ConvertError)?;
        let (minute, second) = ((seconds / 60 % 60) as u8, (seconds % 60) as u8);
        time::Time::from_hms_micro(hour, minute, second, microseconds).map_err(|_| ConvertError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts() {
        let time = OffsetDateTime::try_from(Timestamp(0)).unwrap();
        assert_eq!(time.unix_timestamp(), crate::model::datetime::EPOCH_SECONDS);
        assert_eq!(OffsetDateTime::try_from(Timestamp::NEG_INFINITY), Err(ConvertError));
        assert_eq!(time::Date::try_from(Date(59)).unwrap().ordinal(), 60);
        assert_eq!(time::Time::try_from(Time(3_600_000_001)).unwrap().as_hms_micro(), (1, 0, 0, 1));
        assert_eq!(time::Time::try_from(Time(crate::model::datetime::DAY)), Err(ConvertError));
    }
}
