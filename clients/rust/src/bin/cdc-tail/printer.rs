//! Batches as lines.

use std::io::{self, Write};

use pgcdc::{json, Batch, Damage, Event, Outcome, SchemaCache};

/// Prints the lines of batches.
pub struct Printer<W: Write> {
    pub out: W,
    pub tables: Vec<String>,
    pub colours: bool,
    /// How many events are still to be printed.
    pub left: Option<u64>,
    pub text: String,
}

/// What an op looks like on a terminal.
const COLOURS: [(&str, &str); 8] = [
    ("INSERT", "32"),
    ("UPDATE", "33"),
    ("DELETE", "31"),
    ("TRUNCATE", "31"),
    ("REWRITE", "35"),
    ("SCHEMA", "34"),
    ("MESSAGE", "36"),
    ("COMMITTED", "2"),
];

impl<W: Write> Printer<W> {
    /// Whether all events that were asked for are printed.
    pub fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Whether the whole batch was printed; if not, enough is.
    pub fn batch(
        &mut self,
        batch: &Batch<'_>,
        schemas: &SchemaCache,
    ) -> Result<bool, Box<dyn std::error::Error>> {
        self.text.clear();
        let whole = self.lines(batch, schemas);
        // what came before an error is printed
        self.write()?;
        whole
    }

    fn lines(
        &mut self,
        batch: &Batch<'_>,
        schemas: &SchemaCache,
    ) -> Result<bool, Box<dyn std::error::Error>> {
        for event in batch.events() {
            let event = event?;
            if !self.wants(&event, schemas)? {
                continue;
            }
            if self.is_done() {
                return Ok(false);
            }
            let start = self.text.len();
            if let Err(damage) = json::write_event(&mut self.text, batch, &event, schemas) {
                self.text.truncate(start);
                return Err(damage.into());
            }
            self.text.push('\n');
            self.left = self.left.map(|left| left - 1);
        }
        let ends = batch.transaction.is_some() && batch.outcome != Outcome::Open;
        if ends && self.tables.is_empty() {
            json::write_outcome(&mut self.text, batch)?;
            self.text.push('\n');
        }
        Ok(true)
    }

    /// Whether the event is of one of the tables, as it is called now or was before.
    fn wants(&self, event: &Event<'_>, schemas: &SchemaCache) -> Result<bool, Damage> {
        let names = |name: String| self.tables.contains(&name);
        if self.tables.is_empty() {
            return Ok(true);
        }
        if event.schema != 0 && names(schemas.get(event.schema)?.table.to_string()) {
            return Ok(true);
        }
        let former = event.schema_change.and_then(|change| change.former());
        Ok(former.is_some_and(|former| names(former.to_string())))
    }

    fn write(&mut self) -> io::Result<()> {
        if !self.colours {
            return self.out.write_all(self.text.as_bytes());
        }
        for line in self.text.lines() {
            // control characters are escaped in JSON, so that data cannot
            // write to the terminal
            let op = COLOURS.iter().find(|(op, _)| line.contains(&format!("\"op\":\"{op}\"")));
            let colour = op.map_or("0", |(_, colour)| colour);
            writeln!(self.out, "\x1b[{colour}m{line}\x1b[0m")?;
        }
        Ok(())
    }
}
