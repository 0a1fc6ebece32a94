//! Every file of test/golden, and of former releases, decodes to its JSON, to the byte, and to what
//! prost makes of it.

mod common;

use common::{golden, released, to_json};
use pgcdc::{pb, Frames, Inflater, Limits};
use prost::Message;

#[test]
fn json_form() {
    for pb in golden().into_iter().chain(released()) {
        let wanted = std::fs::read_to_string(pb.with_extension("json")).unwrap();
        let ours = to_json(&std::fs::read(&pb).unwrap()).unwrap();
        for (ours, wanted) in ours.lines().zip(wanted.lines()) {
            assert_eq!(ours, wanted, "{}", pb.display());
        }
        assert_eq!(ours, wanted, "{}", pb.display());
    }
}

/// The views and prost, an independent reader, see the same.
#[test]
fn views_are_what_prost_reads() {
    for path in golden() {
        let bytes = std::fs::read(&path).unwrap();
        let stream = pb::Stream::decode(&bytes[..]).unwrap();
        let frames: Vec<_> =
            Frames::new(&bytes, Limits::DEFAULT).collect::<Result<_, _>>().unwrap();
        assert_eq!(frames.len(), stream.batches.len());
        let mut inflater = Inflater::new(Limits::DEFAULT);
        for (frame, theirs) in frames.into_iter().zip(stream.batches) {
            let ours = inflater.parse(frame).unwrap();
            let theirs = match theirs.codec {
                0 => theirs,
                _ => pb::Batch::decode(ours.bytes()).unwrap(),
            };
            assert_eq!(ours.unknown_fields(), 0);
            assert_eq!(ours.end_lsn.0, theirs.end_lsn);
            assert_eq!(ours.event_count, theirs.event_count);
            assert_eq!(ours.part, theirs.part);
            assert_eq!(ours.event_len(), theirs.events.len() as u64);
            let t = theirs.transaction.clone().unwrap_or_default();
            if let Some(ours) = &ours.transaction {
                assert_eq!((ours.xid, ours.commit_time), (t.xid, t.commit_time));
                assert_eq!((ours.first_lsn.0, ours.commit_lsn.0), (t.first_lsn, t.commit_lsn));
                let metadata: Vec<_> = ours.metadata().map(|(k, v)| (k.into(), v.into())).collect();
                assert_eq!(metadata, t.metadata.into_iter().collect::<Vec<(String, String)>>());
            }
            let source = theirs.source.clone();
            assert_eq!(ours.source.map(|s| s.slot.to_owned()), source.map(|s| s.slot));
            for (ours, theirs) in ours.events().zip(&theirs.events) {
                let ours = ours.unwrap();
                assert_eq!(ours.unknown_fields(), 0);
                assert_eq!(ours.op, pgcdc::Op::from(theirs.op as u32));
                assert_eq!(ours.position.lsn.0, t.first_lsn + theirs.lsn_offset);
                assert_eq!(ours.schema, theirs.schema);
                assert_eq!(ours.key.bytes(), theirs.key);
                assert_eq!(ours.old.bytes(), theirs.old);
                assert_eq!(ours.new.bytes(), theirs.new);
                assert_eq!(ours.new_key.bytes(), theirs.new_key);
                assert_eq!(ours.nulls().collect::<Result<Vec<_>, _>>().unwrap(), theirs.nulls);
                assert_eq!(ours.rewrite_start, theirs.rewrite_start);
                assert_eq!(ours.message.is_some(), theirs.message.is_some());
                let change =
                    ours.schema_change.map(|c| (c.command_tag.into(), c.former_name.into()));
                let wanted = theirs.schema_change.clone().map(|c| (c.command_tag, c.former_name));
                assert_eq!(change, wanted);
            }
        }
    }
}
