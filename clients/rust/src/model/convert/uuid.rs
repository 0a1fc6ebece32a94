//! uuid.

use uuid::Uuid;

use super::ConvertError;
use crate::model::value::Value;

impl TryFrom<Value<'_>> for Uuid {
    type Error = ConvertError;

    /// Of [`Value::Uuid`]; anything else is an error. Fields of generated
    /// structs are bytes: `Uuid::from_slice` takes those.
    fn try_from(value: Value<'_>) -> Result<Self, ConvertError> {
        match value {
            Value::Uuid(bytes) => Ok(Uuid::from_bytes(bytes)),
            _ => Err(ConvertError),
        }
    }
}

#[test]
fn converts() {
    assert_eq!(Uuid::try_from(Value::Uuid([1; 16])), Ok(Uuid::from_bytes([1; 16])));
    assert_eq!(Uuid::try_from(Value::Bool(true)), Err(ConvertError));
}
