//! Prints a stream as JSON lines. See `cdc-tail --help`.

use std::io::{self, BufReader, BufWriter, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use pgcdc::{
    json, Batch, Compression, ConnectConfig, FrameReader, Inflater, Limits, SchemaCache,
    StreamConfig, Transport,
};

const USAGE: &str = "\
usage: cdc-tail --file FILE
       cdc-tail --slot SLOT [--conninfo CONNINFO]

  --file FILE          what pg_recvlogical wrote, or delimited batches; - is standard input
  --follow             with --file: wait for more at its end
  --slot SLOT          a replication slot, followed until interrupted
  --conninfo CONNINFO  URL or conninfo string; what it lacks comes from PGHOST and so on
  --option NAME=VALUE  of the plugin; several may be given
  --compression CODEC  asks the server to compress batches: none, lz4, zstd
  --fetch              by cdc.fetch(), for roles without REPLICATION to which the slot is bound
  --create             create the slot if it does not exist
  --ack                acknowledge what was printed; otherwise it comes again the next time
  -n COUNT             stop after this many transactions
  --table NAME         only this table, as in the JSON member relation; several may be given
  --json               never with colours, which otherwise come on a terminal
";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Default)]
struct Options {
    file: Option<String>,
    slot: Option<String>,
    follow: bool,
    limit: Option<u64>,
    conninfo: String,
    plugin: Vec<(String, String)>,
    tables: Vec<String>,
    create: bool,
    fetch: bool,
    ack: bool,
    json: bool,
    help: bool,
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--file" => options.file = Some(value()?),
            "--slot" => options.slot = Some(value()?),
            "--conninfo" => options.conninfo = value()?,
            "--table" => options.tables.push(value()?),
            "--option" => {
                let value = value()?;
                let (name, value) = value.split_once('=').ok_or("--option needs NAME=VALUE")?;
                options.plugin.push((name.into(), value.into()));
            }
            "--compression" => {
                let compression: Compression = value()?.parse()?;
                options.plugin.push(("compression".into(), compression.name().into()));
            }
            "--follow" => options.follow = true,
            "-n" => options.limit = Some(value()?.parse().map_err(|_| "-n needs a number")?),
            "--fetch" => options.fetch = true,
            "--create" => options.create = true,
            "--ack" => options.ack = true,
            "--json" => options.json = true,
            "--help" | "-h" => options.help = true,
            _ => return Err(format!("unknown argument {arg}").into()),
        }
    }
    Ok(options)
}

/// Prints the lines of batches.
struct Printer<W: Write> {
    out: W,
    text: String,
    tables: Vec<String>,
    colours: bool,
    transactions: u64,
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
    fn is_enough(&mut self, batch: &Batch<'_>, limit: Option<u64>) -> bool {
        self.transactions += u64::from(batch.is_end());
        limit.is_some_and(|limit| self.transactions >= limit)
    }

    fn batch(&mut self, batch: &Batch<'_>, schemas: &SchemaCache) -> Result<()> {
        self.text.clear();
        if self.tables.is_empty() {
            json::write_batch(&mut self.text, batch, schemas)?;
        } else {
            for event in batch.events() {
                let event = event?;
                if event.schema != 0
                    && self.tables.contains(&schemas.get(event.schema)?.table.to_string())
                {
                    json::write_event(&mut self.text, batch, &event, schemas)?;
                    self.text.push('\n');
                }
            }
        }
        if !self.colours {
            return Ok(self.out.write_all(self.text.as_bytes())?);
        }
        for line in self.text.lines() {
            // control characters are escaped in JSON, so that data can not
            // write to the terminal
            let op = COLOURS.iter().find(|(op, _)| line.contains(&format!("\"op\":\"{op}\"")));
            let colour = op.map_or("0", |(_, colour)| colour);
            writeln!(self.out, "\x1b[{colour}m{line}\x1b[0m")?;
        }
        Ok(())
    }
}

/// A file that may grow: at its end it waits.
struct Growing(std::fs::File);

impl Read for Growing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(out)? {
                0 if !out.is_empty() => std::thread::sleep(Duration::from_millis(200)),
                len => return Ok(len),
            }
        }
    }
}

fn file<W: Write>(options: &Options, name: &str, printer: &mut Printer<W>) -> Result<()> {
    let input: Box<dyn Read> = match name {
        "-" => Box::new(io::stdin()),
        name => {
            let file = std::fs::File::open(name).map_err(|e| format!("{name}: {e}"))?;
            match options.follow {
                true => Box::new(Growing(file)),
                false => Box::new(file),
            }
        }
    };
    let mut frames = FrameReader::new(BufReader::with_capacity(1 << 16, input), Limits::DEFAULT);
    let mut inflater = Inflater::new(Limits::DEFAULT);
    let mut schemas = SchemaCache::new(Limits::DEFAULT);
    while let Some(frame) = frames.next_batch()? {
        let batch = inflater.parse(frame)?;
        schemas.add_all(&batch)?;
        printer.batch(&batch, &schemas)?;
        if options.follow {
            printer.out.flush()?;
        }
        if printer.is_enough(&batch, options.limit) {
            break;
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn follow<W: Write>(options: &Options, slot: &str, printer: &mut Printer<W>) -> Result<()> {
    let mut config = StreamConfig::new(ConnectConfig::parse(&options.conninfo)?, slot);
    config.create_slot = options.create;
    if options.fetch {
        config.transport = Transport::Fetch;
    }
    config.options.extend(options.plugin.iter().cloned());
    let mut stream = config.start().await?;
    while let Some(delivery) = stream.next().await {
        let delivery = delivery?;
        printer.batch(&delivery.batch()?, delivery.schemas())?;
        printer.out.flush()?;
        if options.ack {
            stream.ack(&delivery);
        }
        if printer.is_enough(&delivery.batch()?, options.limit) {
            break;
        }
    }
    stream.close().await;
    Ok(())
}

fn run() -> Result<()> {
    let options = options(std::env::args().skip(1))?;
    if options.help {
        print!("{USAGE}");
        return Ok(());
    }
    let stdout = io::stdout();
    let mut printer = Printer {
        colours: !options.json && stdout.is_terminal(),
        out: BufWriter::with_capacity(1 << 16, stdout.lock()),
        text: String::new(),
        tables: options.tables.clone(),
        transactions: 0,
    };
    let result = match (&options.file, &options.slot) {
        (Some(name), None) => file(&options, name, &mut printer),
        (None, Some(slot)) => follow(&options, slot, &mut printer),
        _ => Err(USAGE.into()),
    };
    // what came before an error is printed
    printer.out.flush()?;
    result
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        // whoever reads has had enough
        Err(error)
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cdc-tail: {error}");
            ExitCode::FAILURE
        }
    }
}
