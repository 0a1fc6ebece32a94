//! PostgreSQL's frontend protocol, as far as replication and `COPY` need it.

mod auth;
mod binding;
mod call;
mod config;
mod connection;
mod demands;
mod hosts;
mod link;
mod tls;
mod words;

pub use binding::ChannelBinding;
pub(crate) use call::fields;
pub use config::{ConnectConfig, SslMode};
pub use connection::Connection;
pub(crate) use connection::{quote_command, quote_identifier, quote_literal, Incoming, Rows};
pub use hosts::{Host, TargetSession};
