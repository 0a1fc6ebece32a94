//! rust_decimal.

use rust_decimal::Decimal;

use super::ConvertError;
use crate::model::value::Value;

impl TryFrom<Value<'_>> for Decimal {
    type Error = ConvertError;

    /// Of [`Value::Numeric`], exactly: `NaN`, infinities, and what has more
    /// than 28 digits, are an error. Fields of generated structs are text:
    /// `Decimal::from_str_exact` takes that.
    fn try_from(value: Value<'_>) -> Result<Self, ConvertError> {
        match value {
            Value::Numeric(text) => Decimal::from_str_exact(text).map_err(|_| ConvertError),
            _ => Err(ConvertError),
        }
    }
}

#[test]
fn converts() {
    assert_eq!(Decimal::try_from(Value::Numeric("-1.50")).unwrap().to_string(), "-1.50");
    for text in ["NaN", "Infinity", "1234567890123456789012345678901234567890"] {
        assert_eq!(Decimal::try_from(Value::Numeric(text)), Err(ConvertError), "{text}");
    }
}
