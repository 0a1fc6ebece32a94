//! What is passed over, and set aside, as the policies say.

use super::about::About;
use super::config::StreamConfig;
use super::metrics::Counter;
use super::store::deadletter::{DeadLetter, Policy, Reason};
use super::versions::VersionPolicy;
use crate::base::error::Error;
use crate::base::position::Position;

/// What to do about something that cannot be handled: goes on, or is the
/// error.
pub(super) fn apply(
    config: &StreamConfig,
    policy: Policy,
    letter: &DeadLetter<'_>,
    about: About,
    error: Error,
) -> Result<(), Error> {
    let About { relation, fingerprint, version } = about;
    let position = letter.position.map(|p| p.to_string());
    macro_rules! say {
        ($level:ident) => {
            tracing::$level!(slot = letter.slot, reason = letter.reason.name(), %error, position, relation,
                fingerprint, version, "cannot hand on")
        };
    }
    if policy == Policy::Stop {
        say!(error);
        return Err(error);
    }
    say!(warn);
    if let (Some(sink), Policy::DeadLetter) = (&config.dead_letters, policy) {
        sink.put(letter)?;
    }
    config.metrics.add(Counter::DeadLetters(letter.reason.name()), 1);
    Ok(())
}

/// How many letters are put at once.
const TOGETHER: usize = 256;

/// Events that are rejected together.
pub(super) struct Letters<'a> {
    config: &'a StreamConfig,
    error: &'a str,
    held: Vec<(Position, Vec<u8>)>,
}

impl<'a> Letters<'a> {
    pub(super) fn new(config: &'a StreamConfig, error: &'a str) -> Self {
        Letters { config, error, held: Vec::new() }
    }

    pub(super) fn add(&mut self, position: Position, batch: Vec<u8>) -> Result<(), Error> {
        if self.config.on_handler_error == Policy::Stop {
            return Err(Error::Other(self.error.to_owned().into()));
        }
        self.held.push((position, batch));
        match self.held.len() < TOGETHER {
            true => Ok(()),
            false => self.put(),
        }
    }

    pub(super) fn put(&mut self) -> Result<(), Error> {
        let config = self.config;
        let letters: Vec<_> = self
            .held
            .iter()
            .map(|(position, batch)| DeadLetter {
                reason: Reason::Handler,
                error: self.error,
                slot: &config.slot,
                position: Some(*position),
                batch,
            })
            .collect();
        let Some(first) = letters.first() else { return Ok(()) };
        tracing::warn!(
            slot = first.slot,
            reason = first.reason.name(),
            error = first.error,
            position = first.position.map(|p| p.to_string()),
            events = letters.len(),
            "cannot hand on"
        );
        if let (Some(sink), Policy::DeadLetter) = (&config.dead_letters, config.on_handler_error) {
            sink.put_all(&letters)?;
        }
        let name = first.reason.name();
        config.metrics.add(Counter::DeadLetters(name), letters.len() as u64);
        self.held.clear();
        Ok(())
    }
}

/// An event, in a batch of its own, as a dead letter, as the policy says.
pub(super) fn set_aside(
    config: &StreamConfig,
    reason: Reason,
    position: Position,
    about: About,
    alone: &[u8],
    error: Error,
) -> Result<(), Error> {
    let policy = match reason {
        Reason::Failure => config.on_failure,
        Reason::Handler => config.on_handler_error,
        Reason::Version => match &config.on_version {
            VersionPolicy::Skip => Policy::Skip,
            VersionPolicy::DeadLetter => Policy::DeadLetter,
            _ => config.on_handler_error,
        },
        Reason::Damage | Reason::UnknownSchema => config.on_damage,
    };
    let text = error.to_string();
    let letter = DeadLetter {
        reason,
        error: &text,
        slot: &config.slot,
        position: Some(position),
        batch: alone,
    };
    apply(config, policy, &letter, about, error)
}
