//! Prints a stream as JSON lines. See `cdc-tail --help`.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::process::ExitCode;

use pgcdc::{json, Batch, FrameReader, Limits, SchemaCache};

const USAGE: &str = "\
usage: cdc-tail --file FILE

  --file FILE    what pg_recvlogical wrote, or delimited batches; - is standard input
  --table NAME   only this table, as in the JSON member relation; several may be given
";

struct Options {
    file: Option<String>,
    tables: Vec<String>,
}

fn options() -> Result<Option<Options>, String> {
    let mut options = Options { file: None, tables: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--file" => options.file = Some(value()?),
            "--table" => options.tables.push(value()?),
            "--json" => (),
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unknown argument {arg}")),
        }
    }
    Ok(Some(options))
}

/// Events of the tables that were asked for, and all outcomes.
fn print(
    out: &mut impl Write,
    line: &mut String,
    batch: &Batch<'_>,
    schemas: &SchemaCache,
    tables: &[String],
) -> Result<(), Box<dyn std::error::Error>> {
    line.clear();
    if tables.is_empty() {
        json::write_batch(line, batch, schemas)?;
        return Ok(out.write_all(line.as_bytes())?);
    }
    for event in batch.events() {
        let event = event?;
        if event.schema == 0 || !tables.contains(&schemas.get(event.schema)?.table.to_string()) {
            continue;
        }
        json::write_event(line, batch, &event, schemas)?;
        line.push('\n');
    }
    Ok(out.write_all(line.as_bytes())?)
}

fn file(options: &Options, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let input: Box<dyn Read> = match name {
        "-" => Box::new(io::stdin()),
        name => Box::new(std::fs::File::open(name).map_err(|e| format!("{name}: {e}"))?),
    };
    let mut frames = FrameReader::new(BufReader::with_capacity(1 << 16, input), Limits::DEFAULT);
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut schemas = SchemaCache::new(Limits::DEFAULT);
    let mut line = String::new();
    while let Some(frame) = frames.next_batch()? {
        let batch = Batch::parse(frame)?;
        schemas.add_all(&batch)?;
        print(&mut out, &mut line, &batch, &schemas, &options.tables)?;
    }
    Ok(out.flush()?)
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let Some(options) = options()? else {
        print!("{USAGE}");
        return Ok(());
    };
    match &options.file {
        Some(name) => file(&options, name),
        None => Err(USAGE.into()),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cdc-tail: {error}");
            ExitCode::FAILURE
        }
    }
}
