//! PostgreSQL's frontend protocol, as far as replication and `COPY` need it.

pub(crate) mod auth;
pub(crate) mod binding;
pub(crate) mod call;
mod cancel;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod demands;
pub(crate) mod hosts;
pub(crate) mod link;
mod open;
mod registry;
pub(crate) mod tls;
pub(crate) mod words;
