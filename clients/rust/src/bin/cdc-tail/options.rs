//! What it was called with.

use pgcdc::Compression;

pub const USAGE: &str = "\
usage: cdc-tail --file FILE
       cdc-tail --slot SLOT [--conninfo CONNINFO]
       cdc-tail --version

  --file FILE          what pg_recvlogical wrote, or delimited batches; - is standard input
  --follow             with --file: wait for more at its end
  --slot SLOT          a replication slot, followed until interrupted
  --conninfo CONNINFO  URL or conninfo string; what it lacks comes from PGHOST and so on
  --option NAME=VALUE  of the plugin; several may be given
  --compression CODEC  asks the server to compress batches: none, lz4, zstd
  --fetch              by cdc.fetch(), for roles without REPLICATION to which the slot is bound
  --create             create the slot if it does not exist
  --ack                acknowledge what was printed; without it the slot stays where it is
  -n COUNT             stop after this many events
  --table NAME         only this table, as in the JSON member relation; several may be given
  --json               never with colours, which otherwise come on a terminal

SIGINT and SIGTERM end it; what was printed is acknowledged before, with --ack. Exit
status: 0, 1 after an error, 2 where it was called wrongly.
";

#[derive(Default)]
pub struct Options {
    pub file: Option<String>,
    pub slot: Option<String>,
    pub follow: bool,
    pub limit: Option<u64>,
    pub conninfo: String,
    pub plugin: Vec<(String, String)>,
    pub tables: Vec<String>,
    pub create: bool,
    pub fetch: bool,
    pub ack: bool,
    pub json: bool,
    pub help: bool,
    pub version: bool,
}

/// The options, or what is wrong with them.
pub fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
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
                let compression: Compression =
                    value()?.parse().map_err(|error| format!("{error}"))?;
                options.plugin.push(("compression".into(), compression.name().into()));
            }
            "--follow" => options.follow = true,
            "-n" => options.limit = Some(value()?.parse().map_err(|_| "-n needs a number")?),
            "--fetch" => options.fetch = true,
            "--create" => options.create = true,
            "--ack" => options.ack = true,
            "--json" => options.json = true,
            "--help" | "-h" => options.help = true,
            "--version" => options.version = true,
            _ => return Err(format!("unknown argument {arg}")),
        }
    }
    match (&options.file, &options.slot) {
        _ if options.help || options.version => Ok(options),
        (None, None) => Err("neither --file nor --slot is given".into()),
        (Some(_), Some(_)) => Err("--file and --slot are given, one of which is needed".into()),
        _ if options.limit == Some(0) => Err("-n needs a number above 0".into()),
        _ => Ok(options),
    }
}
