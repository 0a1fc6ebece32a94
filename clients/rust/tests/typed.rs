//! Rows as generated structs, from generated code that is committed.

mod common;

use pgcdc::{
    fingerprint, Column, Decoder, DecoderLayout, Error, Event, ReplicaIdentity, Schema, Table, Type,
};
use pgcdc::{pb, Batch};
use prost::Message;

mod rows {
    include!("../examples/rows/cdc.rows.public.orders.v1.rs");
}
const DESCRIPTORS: &[u8] = include_bytes!("../examples/rows/orders.fds");
const NAME: &str = "cdc.rows.public.orders.v1.Orders";

fn column(number: u32, name: &str, r#type: Type, pg_type: &str) -> Column {
    Column { number, name: name.into(), r#type, pg_type: pg_type.into(), ..Column::default() }
}

fn table() -> Table {
    Table {
        schema: "public".into(),
        name: "orders".into(),
        columns: vec![
            Column { key: true, ..column(1, "id", Type::Int32, "pg_catalog.int4") },
            column(2, "customer", Type::Text, "pg_catalog.text"),
            column(3, "total", Type::Numeric, "pg_catalog.numeric(12,2)"),
            column(4, "placed", Type::Timestamptz, "pg_catalog.timestamptz"),
            Column { element: Type::Text, ..column(5, "tags", Type::Array, "pg_catalog.text[]") },
        ],
        replica_identity: ReplicaIdentity::Full,
    }
}

fn schema(table: Table) -> Schema {
    Schema {
        fingerprint: fingerprint(table.name.as_bytes()),
        version: 0,
        unmapped: "".into(),
        table,
        bytes: Box::default(),
    }
}

fn with_event<T>(event: pb::ChangeEvent, f: impl FnOnce(&Event<'_>) -> T) -> T {
    let batch = pb::Batch { events: vec![event], ..Default::default() }.encode_to_vec();
    let batch = Batch::parse(&batch).unwrap();
    let event = batch.events().next().unwrap().unwrap();
    f(&event)
}

fn order(id: i32, customer: &str) -> rows::Orders {
    rows::Orders {
        id: Some(id),
        customer: Some(customer.into()),
        total: Some("1.50".into()),
        placed: Some(0),
        tags: Some(pb::StringArray { values: vec!["a".into(), "b".into()], ..Default::default() }),
    }
}

/// Key and the other columns.
fn split(order: &rows::Orders) -> (Vec<u8>, Vec<u8>) {
    let key = rows::Orders { id: order.id, ..Default::default() };
    let new = rows::Orders { id: None, ..order.clone() };
    (key.encode_to_vec(), new.encode_to_vec())
}

#[test]
fn whole_rows_and_overlays() {
    let mut typed = Decoder::<rows::Orders>::new(DESCRIPTORS, NAME).unwrap();
    let schema = schema(table());
    let ada = order(0, "ada");
    let (key, new) = split(&ada);
    let insert = pb::ChangeEvent {
        op: pb::Op::Insert as i32,
        key: key.clone(),
        new: new.clone(),
        ..Default::default()
    };
    let after = with_event(insert, |event| typed.after(&schema, event)).unwrap();
    assert_eq!(after, Some(ada.clone()));

    // an array is replaced, not appended to, and a NULL is one
    let delta = rows::Orders {
        tags: Some(pb::StringArray { values: vec!["c".into()], ..Default::default() }),
        ..Default::default()
    };
    let update = pb::ChangeEvent {
        op: pb::Op::Update as i32,
        key: key.clone(),
        new_key: rows::Orders { id: Some(7), ..Default::default() }.encode_to_vec(),
        old: new.clone(),
        new: delta.encode_to_vec(),
        nulls: vec![3],
        ..Default::default()
    };
    let (before, after) = with_event(update, |event| {
        (typed.before(&schema, event).unwrap(), typed.after(&schema, event).unwrap())
    });
    assert_eq!(before, Some(ada.clone()));
    assert_eq!(
        after,
        Some(rows::Orders { id: Some(7), total: None, tags: delta.tags, ..ada.clone() })
    );

    let delete = pb::ChangeEvent { op: pb::Op::Delete as i32, key, old: new, ..Default::default() };
    let (before, after) = with_event(delete, |event| {
        (typed.before(&schema, event).unwrap(), typed.after(&schema, event).unwrap())
    });
    assert_eq!((before, after), (Some(ada), None));
}

#[test]
fn schemas_that_do_not_fit() {
    let layout = DecoderLayout::new(DESCRIPTORS, NAME).unwrap();
    layout.check(&table()).unwrap();
    assert!(matches!(
        DecoderLayout::new(DESCRIPTORS, "cdc.rows.public.orders.v1.Nothing"),
        Err(Error::Fit(_))
    ));
    assert!(DecoderLayout::new(&DESCRIPTORS[..100], NAME).is_err());

    let changed = |number: u32, f: &dyn Fn(&mut Column)| {
        let mut table = table();
        f(&mut table.columns[number as usize - 1]);
        layout.check(&table)
    };
    changed(2, &|c| c.name = "renamed".into()).unwrap();
    changed(2, &|c| c.r#type = Type::Json).unwrap();
    for (number, r#type, element) in [
        (1, Type::Int64, Type::Unspecified),
        (2, Type::Bytes, Type::Unspecified),
        (3, Type::Double, Type::Unspecified),
        (4, Type::Date, Type::Unspecified),
        (5, Type::Array, Type::Int32),
        (5, Type::Unspecified, Type::Unspecified),
    ] {
        let error = changed(number, &|c| (c.r#type, c.element) = (r#type, element)).unwrap_err();
        let name = &table().columns[number as usize - 1].name;
        assert!(error.to_string().contains(&format!("\"{name}\"")), "{error}");
        assert!(error.to_string().ends_with("generate it anew from cdc.proto()"), "{error}");
    }
    // a new column is passed over, a redacted one is elsewhere
    let mut more = table();
    more.columns.push(column(6, "extra", Type::Int32, "pg_catalog.int4"));
    layout.check(&more).unwrap();
    assert_eq!(layout.unread(&more), ["extra"]);
    changed(4, &|c| (c.r#type, c.redaction) = (Type::Date, pgcdc::Redaction::Mask)).unwrap();
}

#[test]
fn found_when_a_row_is_read() {
    let mut typed = Decoder::<rows::Orders>::new(DESCRIPTORS, NAME).unwrap();
    let mut wrong = table();
    wrong.columns[0].r#type = Type::Int64;
    let error = typed.row(&schema(wrong), pgcdc::Row::new(&[])).unwrap_err();
    assert!(error.to_string().contains("\"id\""), "{error}");
    let error = typed.row(&schema(table()), pgcdc::Row::new(&[0x0a, 1])).unwrap_err();
    assert!(matches!(error, Error::Damage(_)), "{error}");
}
