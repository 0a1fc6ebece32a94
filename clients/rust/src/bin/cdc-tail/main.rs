//! Prints a stream as JSON lines. See `cdc-tail --help`.

mod log;
mod options;
mod printer;
mod signals;

use std::io::{self, BufReader, BufWriter, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use pgcdc::{
    ConnectConfig, FrameReader, Inflater, Limits, SchemaCache, Stream, StreamConfig, Transport,
};
use tokio::sync::watch;

use options::{options, Options, USAGE};
use printer::Printer;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How long a start that is under way when a signal comes may take.
const PATIENCE: Duration = Duration::from_secs(2);

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
        if printer.is_done() {
            break;
        }
    }
    Ok(())
}

async fn print<W: Write>(
    stream: &mut Stream,
    ack: bool,
    printer: &mut Printer<W>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    loop {
        let delivery = tokio::select! {
            delivery = stream.next_batch() => delivery,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let Some(delivery) = delivery.transpose()? else { return Ok(()) };
        let whole = printer.batch(&delivery.batch()?, delivery.schemas())?;
        printer.out.flush()?;
        if ack && whole {
            stream.ack(&delivery);
        }
        if printer.is_done() {
            return Ok(());
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn follow<W: Write>(options: &Options, slot: &str, printer: &mut Printer<W>) -> Result<()> {
    let mut stop = signals::stop()?;
    let mut config = StreamConfig::new(ConnectConfig::parse(&options.conninfo)?, slot);
    config.create_slot = options.create;
    config.read_only = !options.ack;
    if options.fetch {
        config.transport = Transport::Fetch;
    }
    config.options.extend(options.plugin.iter().cloned());
    let start = config.start();
    tokio::pin!(start);
    let mut stream = tokio::select! {
        started = &mut start => started?,
        // a slot that is just being taken is given back
        _ = stop.wait_for(|stop| *stop) => match tokio::time::timeout(PATIENCE, start).await {
            Ok(Ok(stream)) => return Ok(stream.close().await?),
            _ => return Ok(()),
        },
    };
    let printed = print(&mut stream, options.ack, printer, stop).await;
    let closed = stream.close().await;
    printed.and(closed.map_err(Into::into))
}

fn run(options: &Options) -> Result<()> {
    let stdout = io::stdout();
    let mut printer = Printer {
        colours: !options.json && stdout.is_terminal(),
        out: BufWriter::with_capacity(1 << 16, stdout.lock()),
        text: String::new(),
        tables: options.tables.clone(),
        left: options.limit,
    };
    let result = match (&options.file, &options.slot) {
        (Some(name), _) => file(options, name, &mut printer),
        (_, Some(slot)) => follow(options, slot, &mut printer),
        _ => Ok(()),
    };
    // what came before an error is printed
    let flushed = printer.out.flush();
    result.and(flushed.map_err(Into::into))
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprint!("cdc-tail: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if options.help || options.version {
        match options.help {
            true => print!("{USAGE}"),
            false => println!("cdc-tail {}", pgcdc::VERSION),
        }
        return ExitCode::SUCCESS;
    }
    let _ = tracing::subscriber::set_global_default(log::Log);
    match run(&options) {
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
