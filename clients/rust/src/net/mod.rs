//! PostgreSQL's frontend protocol, as far as replication and `COPY` need it.

mod auth;
mod call;
mod config;
mod connection;
mod tls;

pub(crate) use call::fields;
pub use config::{ConnectConfig, SslMode};
pub use connection::Connection;
pub(crate) use connection::{quote_identifier, quote_literal, Incoming};
