//! Batches as lines.

use std::io::{self, Write};

use pgcdc::{json, Batch, Outcome, SchemaCache};

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
const COLOURS: [(&str, &str); 7] = [
    ("INSERT", "32"),
    ("UPDATE", "33"),
    ("DELETE", "31"),
    ("TRUNCATE", "31"),
    ("REWRITE", "35"),
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
            if !self.tables.is_empty() {
                let wanted = event.schema != 0
                    && self.tables.contains(&schemas.get(event.schema)?.table.to_string());
                if !wanted {
                    continue;
                }
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
