//! Counts what happened in a whole history.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use disband::{CommandResult, ConfigError, Engine, GroupId, Reply, UserId};

#[derive(Default)]
pub(crate) struct Summary {
    commands: u64,
    refusals: BTreeMap<u16, u64>,
    signals: BTreeMap<&'static str, u64>,
    recipients: u64,
    /// How many changes of the configuration succeeded, and how many failed.
    configured: (u64, u64),
}

impl Summary {
    pub(crate) fn count(
        &mut self,
        result: &CommandResult<Reply<UserId, GroupId>, UserId, GroupId>,
    ) {
        self.commands += 1;
        match result {
            Ok(outcome) => {
                for signal in &outcome.signals {
                    *self.signals.entry(signal.event.name()).or_default() += 1;
                    self.recipients += signal.audience.len() as u64;
                }
            }
            Err(refusal) => *self.refusals.entry(refusal.code()).or_default() += 1,
        }
    }

    pub(crate) fn count_config<T>(&mut self, set: &Result<T, ConfigError>) {
        let (done, failed) = &mut self.configured;
        *(if set.is_ok() { done } else { failed }) += 1;
    }

    pub(crate) fn write(
        &self,
        engine: &Engine,
        took: Duration,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let stats = engine.stats();
        writeln!(out, "commands           {}", self.commands)?;
        writeln!(out, "refusals           {}", self.refusals.values().sum::<u64>())?;
        for (code, count) in &self.refusals {
            writeln!(out, "  {code}              {count}")?;
        }
        writeln!(out, "signals            {}", self.signals.values().sum::<u64>())?;
        for (name, count) in &self.signals {
            writeln!(out, "  {name:<16} {count}")?;
        }
        writeln!(out, "recipients         {}", self.recipients)?;
        let (done, failed) = self.configured;
        if done + failed > 0 {
            writeln!(out, "configurations set {done}, refused {failed}")?;
        }
        writeln!(out, "groups left        {}", stats.groups)?;
        writeln!(out, "memberships left   {}", stats.memberships)?;
        writeln!(out, "time               {took:.1?}")
    }
}
