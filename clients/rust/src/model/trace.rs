//! Where a transaction came from: W3C Trace Context in its metadata.

use super::batch::Transaction;

/// A `traceparent`, as `cdc.set_traceparent()` attaches it to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: u128,
    /// The span in which the transaction was made.
    pub span_id: u64,
    /// Bit 0: sampled.
    pub flags: u8,
}

impl TraceParent {
    /// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`; `None` if it
    /// is not of that form. Anyone who can write can set it: never a basis for
    /// authorization.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut hex = |len: usize| {
            let part = parts.next()?;
            let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            (part.len() == len && part.bytes().all(plain))
                .then(|| u128::from_str_radix(part, 16).ok())?
        };
        let version = hex(2)?;
        let (trace_id, span_id, flags) = (hex(32)?, hex(16)? as u64, hex(2)? as u8);
        // later versions may have more parts
        let valid = version != 0xff && trace_id != 0 && span_id != 0;
        let ends = version != 0 || parts.next().is_none();
        (valid && ends).then_some(TraceParent { trace_id, span_id, flags })
    }

    /// Of a transaction's metadata.
    pub fn of(transaction: &Transaction<'_>) -> Option<Self> {
        Self::parse(transaction.metadata().get("traceparent")?)
    }
}

#[cfg(feature = "opentelemetry")]
mod otel {
    use opentelemetry::trace::{Link, SpanContext, SpanId, TraceFlags, TraceId, TraceState};

    use super::TraceParent;

    impl From<TraceParent> for SpanContext {
        fn from(parent: TraceParent) -> Self {
            SpanContext::new(
                TraceId::from_bytes(parent.trace_id.to_be_bytes()),
                SpanId::from_bytes(parent.span_id.to_be_bytes()),
                TraceFlags::new(parent.flags),
                true,
                TraceState::default(),
            )
        }
    }

    /// For `SpanBuilder::with_links`: what handles a transaction is linked to
    /// what made it.
    impl From<TraceParent> for Link {
        fn from(parent: TraceParent) -> Self {
            Link::with_context(parent.into())
        }
    }

    #[test]
    fn links() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let link = Link::from(TraceParent::parse(text).unwrap());
        assert_eq!(link.span_context.trace_id().to_string(), &text[3..35]);
        assert!(link.span_context.is_sampled() && link.span_context.is_remote());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = TraceParent::parse(good).unwrap();
        assert_eq!((parent.span_id, parent.flags), (0x00f0_67aa_0ba9_02b7, 1));
        assert!(TraceParent::parse(&good.replace("00-4", "01-4")).is_some());
        for bad in [
            "",
            &good[1..],
            &good.to_uppercase(),
            &format!("{good}-x"),
            &good.replace("00-4", "ff-4"),
            &good.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &good.replace('-', "_"),
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}
