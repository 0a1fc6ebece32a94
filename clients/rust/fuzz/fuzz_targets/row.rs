//! Rows and values of all types.
#![no_main]

use bounded as _;
use libfuzzer_sys::fuzz_target;
use pgcdc::{json, Array, Column, Row, Type, Value};

fuzz_target!(|data: &[u8]| {
    for field in Row::new(data).fields().flatten() {
        for number in 1..=19 {
            let mut column = Column {
                number: field.number,
                r#type: Type::try_from(number).unwrap_or_default(),
                element: Type::Int32,
                ..Column::default()
            };
            if let Ok(value) = Value::decode(&column, field.value) {
                let _ = value.to_string();
            }
            let _ = json::write_value(&mut String::new(), &column, field.value);
            column.element = Type::Json;
            let _ = json::write_value(&mut String::new(), &column, field.value);
        }
    }
    for number in 1..=19 {
        if let Ok(array) = Array::parse(Type::try_from(number).unwrap_or_default(), data) {
            assert_eq!(array.iter().count(), array.len());
        }
    }
});
